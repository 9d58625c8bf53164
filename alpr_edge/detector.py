"""Find plates in a picture: letterbox → graph → decode → suppression of doubles → closer look."""

from __future__ import annotations

import abc
import copy
import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpr_edge import closer, decode, geometry
from alpr_edge import manifest as manifests
from alpr_edge.cpu import BESIDE
from alpr_edge.engine import Engine
from alpr_edge.errors import ModelError, UsageError
from alpr_edge.types import Detection, Floats, Image

CLOSE_UP = 0.5
"""A plate wider than this share of the network's frame may have been cut off: a second look."""
NO_CAMERA = 2.0
"""A picture this many times as wide as high was cut out of another one."""
LARGE = 0.35
"""Only plates of at least this share of the picture are new in a second look."""
TOUCHING = 0.05
"""Overlap from which a plate of the first look is part of a larger one."""
SURER = 0.1
"""By so much its confidence may be greater; from there the larger one is what is no plate."""
DOUBTFUL = 0.1
"""By so much less sure than the closer look's threshold is what counts if its text is certain."""
ON_ITS_SIDE = 0.7
"""Least confidence of a plate of a picture that lies on its side: what is none looks the more like
one, turned."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Framed:
    """A picture in the detector's frame: (1, H, W, 3) uint8, with the way back to its pixels."""

    frame: Image
    mapping: geometry.Letterbox
    width: int
    height: int


class StagedDetector(abc.ABC):
    """A detector of steps, which :class:`alpr_edge.pipeline.ALPR` runs and stamps one by one.

    Derive from it and a detector of your own is timed like the shipped one. A class that overrides
    ``predict`` is run by that alone, and all its time counts as ``detect``.
    """

    sure: float = 0.0
    """What is found less confidently is a plate only if the shipped reader is sure of its text."""

    @abc.abstractmethod
    def letterbox(self, image: Image) -> Any:
        """One BGR uint8 (H, W, 3) picture as the network takes it. What it answers is the caller's:
        no later call writes on it."""

    @abc.abstractmethod
    def infer(self, framed: Any) -> Any:
        """The network's raw outputs."""

    @abc.abstractmethod
    def postprocess(self, outputs: Any, framed: Any) -> list[Detection]:
        """Detections in the picture's pixels, most confident first."""

    def postprocess_part(self, outputs: Any, framed: Any) -> list[Detection]:
        """The same for a part of a picture that is looked through in parts, and as a whole too:
        without any look that only a whole picture needs."""
        return self.postprocess(outputs, framed)

    def look_closer(self, detections: Sequence[Detection], image: Image) -> list[Detection]:
        """What is left of the detections in the picture after another look at each, most confident
        first: here all of them, without one."""
        return list(detections)

    def look_turned(self, image: Image) -> list[Detection]:
        """The plates of a picture in which none was found, should it lie on its side, most
        confident first; their corners begin at the upper left of the text. Here none."""
        return []

    def predict(self, image: Image) -> list[Detection]:
        """Find the plates of one BGR uint8 (H, W, 3) picture, most confident first."""
        framed = self.letterbox(image)
        return self.look_closer(self.postprocess(self.infer(framed), framed), image)


class PlateDetector(StagedDetector):
    """The shipped detector.

    Args:
        folder: model.xml, model.bin and manifest.json of a detector; in its folder ``closer`` those
            of the network that looks at its plates once more (:mod:`alpr_edge.closer`), if any.
        threads: CPU threads of one inference; None leaves it to OpenVINO. The closer look takes
            :data:`alpr_edge.cpu.BESIDE`.
        load: makes the engine from folder and threads; another one than OpenVINO's computes the
            same outputs with another library.
        min_score: least confidence of a detection; None takes the manifest's, which is ``sure``,
            and after a closer look :data:`DOUBTFUL` less.
        second_look: whether close-ups, and then all plates, are looked at again
            (:meth:`postprocess`); False gives what the graph alone answers.

    Raises:
        ModelError: the model is missing, corrupt or no detector.
        UsageError: ``min_score`` or ``threads`` is out of range.
    """

    def __init__(
        self, folder: Path | str, *, threads: int | None = None, min_score: float | None = None,
        second_look: bool = True, load: Callable[..., Engine] = Engine,
    ) -> None:
        if min_score is not None and not 0 <= min_score <= 1:
            raise UsageError(f"min_score is {min_score}; allowed: 0..1")
        self.engine = load(folder, threads=threads)
        facts = self.engine.manifest.detector_decode
        self._iou = facts.nms_iou
        self._second_look = second_look
        self.closer: Engine | None = None
        near = Path(folder) / closer.FOLDER
        if second_look and (near / manifests.FILENAME).exists():
            self.closer = load(near, threads=BESIDE)
            self._sure = facts.score_threshold
            facts = self.closer.manifest.detector_decode
        self.min_score = self.sure = facts.score_threshold if min_score is None else min_score
        if self.closer is None:
            self._sure = self._least = self.min_score
        else:
            self._least = min(closer.CANDIDATE, self.min_score)
            if min_score is None:
                self.min_score -= DOUBTFUL

    @property
    def engines(self) -> dict[str, Engine]:
        """The networks by name: ``detector`` and, if there is one, ``closer``."""
        return {"detector": self.engine} | ({"closer": self.closer} if self.closer else {})

    def twin(self) -> PlateDetector:
        """The same detector for another thread (:meth:`Engine.twin`)."""
        other = copy.copy(self)
        other.engine = self.engine.twin()
        other.closer = self.closer and self.closer.twin()
        return other

    def letterbox(self, image: Image) -> Framed:
        """The picture scaled into the network's frame."""
        frame, mapping = geometry.letterbox(image, *self.engine.size)
        height, width = image.shape[:2]
        return Framed(frame=frame[None], mapping=mapping, width=width, height=height)

    def infer(self, framed: Framed) -> dict[str, NDArray[np.float32]]:
        """The graph's outputs, of the K best cells: scores (1, K), boxes (1, K, 4), corners
        (1, K, 4, 2), in the frame's pixels, and cells (1, K), their numbers."""
        return self.engine.run(framed.frame)

    def postprocess(
        self, outputs: dict[str, NDArray[np.float32]], framed: Framed
    ) -> list[Detection]:
        """Detections in the picture's pixels, most confident first; with a closer look to come,
        its candidates.

        A plate that fills the picture, as in a cut-out, is larger than the network knows plates and
        has no surroundings. So where a plate is wider than :data:`CLOSE_UP`, and where a picture
        shows none that is smaller than the network's frame or wider than a camera's, the network
        looks again as from twice as far.

        Raises:
            ModelError: the outputs hold something that is no finite number.
        """
        candidates = self.postprocess_part(outputs, framed)
        sure = [one for one in candidates if one.confidence >= self._sure]
        if self._second_look and _is_close_up(sure, framed):
            frame, mapping = geometry.farther(framed.frame[0], framed.mapping)
            second = dataclasses.replace(framed, frame=frame[None], mapping=mapping)
            again = self._detections(self.infer(second), second, self._sure)
            candidates = _merged(candidates, again, framed.width)
        return candidates

    def postprocess_part(
        self, outputs: dict[str, NDArray[np.float32]], framed: Framed
    ) -> list[Detection]:
        """What :meth:`postprocess` has of the one look.

        Raises:
            ModelError: the outputs hold something that is no finite number.
        """
        return self._detections(outputs, framed, self._least)

    def look_closer(self, detections: Sequence[Detection], image: Image) -> list[Detection]:
        """Where the closer look, if there is one, shows the candidates, and which of them are sure,
        or doubtful.

        Raises:
            ModelError: the network's outputs hold something that is no finite number.
        """
        if self.closer is None:
            return list(detections)
        found = []
        for candidate in detections:
            seen, mapping = geometry.close_up(image, candidate.box, *self.closer.size)
            outputs = self.closer.run(seen[None])
            shown = self._decoded(self.closer, outputs, closer.LEAST)
            if (looked := closer.looked_at(candidate, mapping, *shown)) is not None:
                found.append(looked)
        height, width = image.shape[:2]
        return closer.settled(found, width, height, min_score=self.min_score, iou=self._iou)

    def look_turned(self, image: Image) -> list[Detection]:
        """The plates of the picture turned by a right angle, to the left or to the right, whichever
        shows the surest one; only those of at least :data:`ON_ITS_SIDE`.

        Raises:
            ModelError: the network's outputs hold something that is no finite number.
        """
        sides = []
        for turns in (1, 3):
            found = self.predict(geometry.turned(image, turns))
            sure = [one for one in found if one.confidence >= ON_ITS_SIDE]
            back = functools.partial(
                geometry.turned_back, turns=turns, height=image.shape[0], width=image.shape[1]
            )
            sides.append([mapped(one, back) for one in sure])
        return max(sides, key=lambda side: max((one.confidence for one in side), default=0.0))

    def _detections(
        self, outputs: dict[str, NDArray[np.float32]], framed: Framed, least: float
    ) -> list[Detection]:
        """The plates in the outputs, in the picture's pixels, inside it."""
        decoded = self._decoded(self.engine, outputs, least)
        return in_picture(*decoded, framed.mapping, framed.width, framed.height)

    def _decoded(
        self, engine: Engine, outputs: dict[str, NDArray[np.float32]], least: float
    ) -> tuple[Floats, Floats, Floats]:
        """Boxes (k, 4), corners (k, 4, 2) and scores (k,) of a network, in its frame's pixels."""
        scores = outputs["scores"][0]
        if not np.isfinite(scores).all():
            raise ModelError(f"{engine.folder}: scores are not finite; get the model anew")
        boxes, corners, scores = decode.select(
            scores, outputs["boxes"][0], outputs["corners"][0], min_score=least, iou=self._iou
        )
        if not (np.isfinite(boxes).all() and np.isfinite(corners).all()):
            raise ModelError(f"{engine.folder}: boxes are not finite; get the model anew")
        return boxes, corners, scores


def in_picture(
    boxes: Floats, corners: Floats, scores: Floats, mapping: geometry.Letterbox,
    width: int, height: int,
) -> list[Detection]:
    """What :func:`alpr_edge.decode.select` gives of a network's frame, in the pixels of the picture
    of ``width`` x ``height`` in it: boxes inside it, without those in the frame's grey margin."""
    boxes = np.clip(mapping.inverse(boxes.reshape(-1, 2, 2)), 0, [width, height])
    return [
        Detection(box=geometry.quad_box(box), corners=geometry.as_quad(quad), confidence=score)
        for box, quad, score in zip(boxes, mapping.inverse(corners), scores.tolist(), strict=True)
        if (box[1] > box[0]).all()
    ]


def mapped(detection: Detection, mapping: Callable[[NDArray[Any]], NDArray[Any]]) -> Detection:
    """The detection in other pixels: ``mapping`` takes points (4, 2) there."""
    quads = geometry.box_quad(detection.box), detection.corners
    box, corners = (mapping(np.asarray(quad)) for quad in quads)
    return Detection(
        box=geometry.quad_box(box), corners=geometry.as_quad(corners),
        confidence=detection.confidence,
    )


def _width(detection: Detection) -> float:
    return detection.box[2] - detection.box[0]


def _is_close_up(found: Sequence[Detection], framed: Framed) -> bool:
    if not found:
        return framed.mapping.scale_x > 1 or framed.width > NO_CAMERA * framed.height
    widest = framed.mapping.scale_x * max(map(_width, found))
    return bool(widest > CLOSE_UP * framed.frame.shape[2])


def _merged(
    first: list[Detection], second: Sequence[Detection], width: int
) -> list[Detection]:
    """The large plates of the second look, and those of the first that do not lie on them. Of two
    that do the one of the second look stays, unless the first look was much surer."""
    large = [one for one in second if _width(one) >= LARGE * width]
    boxes = np.array([one.box for one in large]).reshape(-1, 4)
    scores = np.array([one.confidence for one in large])
    kept, apart = np.ones(len(large), bool), []
    for one in first:
        under = kept & (decode.box_iou(np.array([one.box]), boxes)[0] >= TOUCHING)
        if (one.confidence > scores[under] + SURER).all():
            kept &= ~under
            apart.append(one)
    seen = [one for one, stays in zip(large, kept, strict=True) if stays]
    return sorted(seen + apart, key=lambda one: -one.confidence)


class WholePicture:
    """A detector that finds one plate, as large as the picture."""

    def predict(self, image: Image) -> list[Detection]:
        """The picture's own corners, with confidence 1."""
        corners = geometry.whole(image)
        return [Detection(box=geometry.quad_box(corners), corners=corners, confidence=1.0)]
