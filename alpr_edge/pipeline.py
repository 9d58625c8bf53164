"""Picture → plates: the stages in a row, with a stamp between each two, always."""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpr_edge import alphabet, geometry, rereading
from alpr_edge.detector import PlateDetector, StagedDetector, WholePicture
from alpr_edge.draw import draw_plates
from alpr_edge.engine import Engine
from alpr_edge.errors import ImageError, UsageError
from alpr_edge.images import check_image, load_image
from alpr_edge.kind import plate_kind
from alpr_edge.picks import Precision
from alpr_edge.reader import PlateReader
from alpr_edge.stages import Stage
from alpr_edge.tuning import Chooser
from alpr_edge.types import Detection, DetectorLike, Image, Plate, Quad, ReaderLike, Reading

Picture = Image | str | os.PathLike[str]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The plates of one picture, most confident detection first, and how long each stage took.

    ``ms`` has every :class:`~alpr_edge.stages.Stage` in milliseconds; reading stages are for all
    ``read`` plates together (``plates`` lacks the uncertain ones). ``image`` is the picture
    itself, BGR uint8 (H, W, 3).
    """

    plates: tuple[Plate, ...]
    read: int
    ms: dict[Stage, float]
    image: Image = dataclasses.field(repr=False, compare=False)


class ALPR:
    """Find and read the licence plates of a picture. Several threads may use one object: its
    networks answer one of them after the other. A :meth:`twin` computes at the same time, with the
    same compiled networks.

    Args:
        models: a models folder (:mod:`alpr_edge.picks`); None takes the shipped models.
        detector: any object with ``predict(image) -> list[Detection]`` in place of the shipped one;
            a :class:`~alpr_edge.detector.StagedDetector` has each of its steps timed.
        reader: any object with ``predict(plates) -> list[Reading]`` in place of the shipped one.
        threads: CPU threads of the detector; None leaves it to OpenVINO. The reader and the closer
            look take one (:data:`alpr_edge.cpu.BESIDE`).
        streams: how many twins compute at the same time, each with ``threads``.
        cache: folder where compiled networks are kept to start faster; None keeps none.
        precision: ``fp32`` takes models that are not quantized, ``int8`` quantized ones, ``auto``
            those picked for this class of CPU.
        min_confidence: plates whose text is less certain are left out; None takes the model's own
            threshold (0 with ``cut_outs`` and for a reader of your own), 0 keeps all.
        min_detection: detections less certain are left out; None takes the model's own threshold.
        cut_outs: the pictures are plate cut-outs, of one plate each. It is read in the whole
            picture and wherever the detector finds it; the most certain reading is the answer.
        reread: plates whose text is uncertain are read again, with other outlines, sharper and each
            row alone. Without it only plates of two rows are, row by row
            (:mod:`alpr_edge.rereading`). Neither by a reader of your own.
        turned: a picture without a sure detection is looked at twice more, turned to the left and
            to the right, and a plate that is hardly read is read upside down too, as photos lie
            that have lost the note how they were taken. Frames of a camera, most of which may show
            no plate, take a third of the time without it. Not by a reader of your own.

    Without ``models``, ``threads`` and ``precision`` it follows what ``alpr-edge tune`` stored on
    this device (:mod:`alpr_edge.tuning`); where that no longer fits, it warns ``StaleTuning`` and
    does as without.

    Raises:
        ModelError: a model is missing, corrupt or not what its manifest says.
        UsageError: an argument is out of range, the folder has no model of that precision, or the
            stored tuning is corrupt.
    """

    def __init__(
        self,
        *,
        models: str | os.PathLike[str] | None = None,
        detector: DetectorLike | None = None,
        reader: ReaderLike | None = None,
        threads: int | None = None,
        streams: int = 1,
        cache: str | os.PathLike[str] | None = None,
        precision: Precision | None = None,
        min_confidence: float | None = None,
        min_detection: float | None = None,
        cut_outs: bool = False,
        reread: bool = True,
        turned: bool = True,
    ) -> None:
        for name, value in (("min_confidence", min_confidence), ("min_detection", min_detection)):
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"{name} is {value}; allowed: 0..1")
        chooser = Chooser(models=models, precision=precision, threads=threads)
        load = functools.partial(Engine, streams=streams, cache_dir=cache)
        for name, own in (("detector", detector), ("reader", reader)):
            if own is not None and not callable(getattr(own, "predict", None)):
                raise UsageError(f"{name} is a {type(own).__name__} without the method predict")
        self.detector: DetectorLike = detector or _detector(chooser, load, min_detection)
        self.reader: ReaderLike = reader or _reader(chooser, load)
        if min_confidence is None:
            own = self.reader
            least = own.min_confidence if isinstance(own, PlateReader) else 0.0
            min_confidence = 0.0 if cut_outs else least
        self.min_confidence = min_confidence
        self.min_detection = min_detection or 0.0
        self.cut_outs = cut_outs
        self.reread = reread
        self.turned = turned
        self._stage()

    def _stage(self) -> None:
        self._detect = _staged_detector(self.detector)
        self._read = _staged_reader(self.reader)

    def twin(self) -> ALPR:
        """Another object on the same compiled networks. As many as ``streams`` compute at a time.

        Raises:
            UsageError: the detector or reader is one of your own.
        """
        if not isinstance(self.detector, PlateDetector) or not isinstance(self.reader, PlateReader):
            raise UsageError(
                "a detector or reader of your own has no twin; make one ALPR for each thread"
            )
        other = copy.copy(self)
        other.detector, other.reader = self.detector.twin(), self.reader.twin()
        other._stage()
        return other

    def predict(self, frame: Picture) -> list[Plate]:
        """The plates of one picture, a BGR uint8 (H, W, 3) array or a path; coordinates in its
        pixels (upright, where the file says how it is turned). The array is not written on.

        Raises:
            ImageError: the picture cannot be read or has a wrong dtype or shape.
        """
        return list(self.run(frame).plates)

    def predict_batch(self, frames: Iterable[Picture]) -> list[list[Plate]]:
        """:meth:`predict` for each picture, one after the other; they may differ in size.

        Raises:
            ImageError: one cannot be read; the message begins with its place, from 0.
        """
        if isinstance(frames, str | os.PathLike):
            raise ImageError(f"predict_batch takes several pictures, not a path ({frames}); give "
                             "[path], or call predict")
        found = []
        for place, frame in enumerate(frames):
            try:
                found.append(self.predict(frame))
            except ImageError as error:
                raise ImageError(f"picture {place} of the batch: {error}") from error
        return found

    def run(self, frame: Picture) -> Result:
        """What :meth:`predict` finds, with the time each stage took; raises the same."""
        watch = _Stopwatch()
        image = _image(frame)
        watch.lap(Stage.LOAD)
        framed = self._detect.letterbox(image)
        watch.lap(Stage.LETTERBOX)
        outputs = self._detect.infer(framed)
        watch.lap(Stage.DETECT)
        detections = self._detect.postprocess(outputs, framed)
        watch.lap(Stage.POSTPROCESS)
        detections = self._detect.look_closer(detections, image)
        none_sure = all(one.confidence < self._detect.sure for one in detections)
        if self.turned and none_sure and not self.cut_outs:
            detections = self._detect.look_turned(image) or detections
        detections = [d for d in detections if d.confidence >= self.min_detection]
        if self.cut_outs:
            detections = [*WholePicture().predict(image), *detections]
        watch.lap(Stage.CLOSER)
        outlines = [detection.corners for detection in detections]
        crops = rectify_all(image, outlines)
        watch.lap(Stage.RECTIFY)
        outputs, readings = self._told(crops, watch)
        if isinstance(self._read, PlateReader):
            again = [
                rereading.views(image, *plate, whole=self.reread)
                for plate in zip(outlines, crops, readings, strict=True)
            ]
            watch.lap(Stage.RECTIFY)
            pictures = [picture for views in again for picture in views.pictures]
            if pictures:
                more = self._read.infer(np.stack(pictures))
                watch.lap(Stage.READ)
                looks = self._read.spellings(outputs), self._read.spellings(more)
                readings = rereading.settled(readings, again, *looks)
            if self.turned:
                detections, crops, readings = self._righted(detections, crops, readings, watch)
        plates = [p for p in as_plates(detections, readings, crops) if self._counts(p)]
        if self.cut_outs:
            plates = [max(plates, key=lambda plate: plate.confidence)]
        else:
            height, width = image.shape[:2]
            plates = [
                plate if geometry.is_whole(plate.box, width, height)
                else dataclasses.replace(plate, whole=False) for plate in plates
            ]
        plates = [plate for plate in plates if plate.confidence >= self.min_confidence]
        watch.lap(Stage.TEXT)
        return Result(plates=tuple(plates), read=len(detections), ms=watch.stop(), image=image)

    def _counts(self, plate: Plate) -> bool:
        """Whether the detector is sure of it or, where it doubts, our reader is of the text."""
        sure = plate.detection_confidence >= self._detect.sure
        ours = isinstance(self._read, PlateReader)
        return sure or (ours and plate.confidence >= self._read.min_confidence)

    def _told(self, crops: NDArray[np.uint8], watch: _Stopwatch) -> tuple[Any, list[Reading]]:
        """What the reader puts out for upright plates, and what is read on them."""
        outputs = self._read.infer(crops)
        watch.lap(Stage.READ)
        readings: list[Reading] = self._read.decode(outputs)
        watch.lap(Stage.TEXT)
        return outputs, readings

    def _righted(
        self, detections: list[Detection], crops: NDArray[np.uint8], readings: list[Reading],
        watch: _Stopwatch,
    ) -> tuple[list[Detection], NDArray[np.uint8], list[Reading]]:
        """The plates, those the other way up that are read far more surely so."""
        doubtful = [i for i, reading in enumerate(readings) if rereading.maybe_upside_down(reading)]
        if not doubtful:
            return detections, crops, readings
        detections, crops, readings = [*detections], crops.copy(), [*readings]
        over = np.ascontiguousarray(crops[doubtful, ::-1, ::-1])
        _, others = self._told(over, watch)
        for i, crop, other in zip(doubtful, over, others, strict=True):
            if rereading.is_upside_down(readings[i], other):
                tl, tr, br, bl = detections[i].corners
                corners = br, bl, tl, tr
                detections[i] = dataclasses.replace(detections[i], corners=corners)
                crops[i], readings[i] = crop, other
        return detections, crops, readings

    @staticmethod
    def draw(frame: Picture, plates: Sequence[Plate]) -> Image:
        """A copy of ``frame`` with the plates' outlines, texts and confidences drawn on it.

        Raises:
            ImageError: as :meth:`predict`.
        """
        return draw_plates(_image(frame), plates)


def _image(frame: Picture) -> Image:
    return load_image(frame) if isinstance(frame, str | os.PathLike) else check_image(frame)


def _detector(
    chooser: Chooser, load: Callable[..., Engine], min_score: float | None
) -> PlateDetector:
    setting = chooser.setting("detector")
    return PlateDetector(setting.folder, threads=setting.threads, min_score=min_score, load=load)


def _reader(chooser: Chooser, load: Callable[..., Engine]) -> PlateReader:
    setting = chooser.setting("reader")
    return PlateReader(setting.folder, threads=setting.threads, load=load)


def rectify_all(image: Image, outlines: Sequence[Quad]) -> NDArray[np.uint8]:
    """The upright plates inside ``outlines``: (N, 48, 192, 3) uint8 BGR."""
    plates = np.empty((len(outlines), geometry.PLATE_HEIGHT, geometry.PLATE_WIDTH, 3), np.uint8)
    for plate, corners in zip(plates, outlines, strict=True):
        plate[:] = geometry.rectify(image, corners)
    return plates


def as_plates(
    detections: Sequence[Detection], readings: Sequence[Reading], crops: NDArray[np.uint8]
) -> list[Plate]:
    """Detections and what was read on them, joined; where nothing was, the confidence is 0.

    Raises:
        UsageError: there is not one reading a detection.
    """
    if len(readings) != len(detections):
        raise UsageError(
            f"the reader gave {len(readings)} readings for {len(detections)} plates; "
            "predict() must return one Reading a plate, in order"
        )
    return [_plate(*one) for one in zip(detections, readings, crops, strict=True)]


def _plate(detection: Detection, reading: Reading, crop: Image) -> Plate:
    region = alphabet.region_of(reading.text)
    return Plate(
        text=reading.text,
        confidence=reading.confidence if reading.text else 0.0,
        char_confidences=reading.char_confidences,
        rows=reading.rows,
        region=region,
        kind=plate_kind(crop, reading.text) if region == "CN" else None,
        box=detection.box,
        corners=detection.corners,
        detection_confidence=detection.confidence,
    )


class _Stopwatch:
    """Milliseconds between laps, by ``time.perf_counter_ns``; a stage's laps add up."""

    def __init__(self) -> None:
        self._begin = self._last = time.perf_counter_ns()
        self._ms: dict[Stage, float] = {}

    def lap(self, stage: Stage) -> None:
        now = time.perf_counter_ns()
        self._ms[stage] = self._ms.get(stage, 0.0) + (now - self._last) / 1e6
        self._last = now

    def stop(self) -> dict[Stage, float]:
        return self._ms | {Stage.TOTAL: (self._last - self._begin) / 1e6}


class _OneStepDetector(StagedDetector):
    """A detector that only has ``predict``: all its time counts as ``detect``."""

    def __init__(self, detector: DetectorLike) -> None:
        self._detector = detector

    def letterbox(self, image: Image) -> Image:
        return image

    def infer(self, image: Image) -> list[Detection]:
        return self._detector.predict(image)

    def postprocess(self, detections: list[Detection], _image: Image) -> list[Detection]:
        return detections


class _OneStepReader:
    """A reader that only has ``predict``: all its time counts as ``read``."""

    def __init__(self, reader: ReaderLike) -> None:
        self._reader = reader

    def infer(self, plates: NDArray[np.uint8]) -> list[Reading]:
        return self._reader.predict(plates) if len(plates) else []

    def decode(self, readings: list[Reading]) -> list[Reading]:
        return readings


def _staged_detector(detector: DetectorLike) -> StagedDetector:
    if not isinstance(detector, StagedDetector):
        return _OneStepDetector(detector)
    own = type(detector).predict is not StagedDetector.predict
    return _OneStepDetector(detector) if own else detector


def _staged_reader(reader: ReaderLike) -> Any:
    return reader if type(reader) is PlateReader else _OneStepReader(reader)
