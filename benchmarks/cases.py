"""What is timed: a frame size with a number of plates, and the pipelines that do it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpr_edge.detector import PlateDetector, StagedDetector
from alpr_edge.engine import Engine
from alpr_edge.pipeline import ALPR
from alpr_edge.reader import PlateReader
from alpr_edge.stages import Stage
from alpr_edge.tuning import Chooser
from alpr_edge.types import Detection, Image, ReaderLike, Reading
from benchmarks.models import folder_name
from benchmarks.scenes import Scene

PLATES = (0, 1, 2, 4, 8)
"""How many plates a case may have."""
NETWORKS = ("detector", "closer", "reader")
"""What a models folder's networks are called in reports; it may lack the closer look."""

Ms = Mapping[Stage, float]


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """A frame size (:data:`benchmarks.scenes.FRAMES`) and the number of plates in it."""

    frame: str
    plates: int

    def __str__(self) -> str:
        return f"{self.frame}/{self.plates}"


JUDGED = Case("1080p", 1)
"""What the budget is for."""


class Planted(StagedDetector):
    """The steps of another detector, all done in earnest, whose answer is then replaced by
    :attr:`plates`: so their number is known."""

    def __init__(self, detector: StagedDetector) -> None:
        self.plates: Sequence[Detection] = ()
        self._detector = detector

    def letterbox(self, image: Image) -> Any:
        """The other detector's."""
        return self._detector.letterbox(image)

    def infer(self, framed: Any) -> Any:
        """The other detector's."""
        return self._detector.infer(framed)

    def postprocess(self, outputs: Any, framed: Any) -> list[Detection]:
        """The planted plates, after the other detector found its own."""
        self._detector.postprocess(outputs, framed)
        return list(self.plates)

    def look_closer(self, detections: Sequence[Detection], image: Image) -> list[Detection]:
        """The planted plates, after the other detector looked at each."""
        self._detector.look_closer(detections, image)
        return list(self.plates)


class NullDetector(StagedDetector):
    """A detector that does nothing: what is left is the harness's own time."""

    def letterbox(self, image: Image) -> Image:
        """The picture itself."""
        return image

    def infer(self, framed: Image) -> None:
        """Nothing."""

    def postprocess(self, outputs: None, framed: Image) -> list[Detection]:
        """No plate."""
        return []


class NullReader:
    """A reader that does nothing."""

    def predict(self, plates: NDArray[np.uint8]) -> list[Reading]:
        """Empty texts."""
        return [Reading(text="", confidence=1.0, char_confidences=(), rows=None)] * len(plates)


class Contestant:
    """A pipeline that runs cases, looking at each picture upright only, as at a camera's frames."""

    def __init__(self, detector: StagedDetector, reader: ReaderLike) -> None:
        self._planted = Planted(detector)
        self._alpr = ALPR(detector=self._planted, reader=reader, turned=False)

    def run(self, scene: Scene, case: Case) -> Ms:
        """The stamps of one whole run, from the JPEG file to the texts of the case's plates. A
        scene with fewer plates shows them several times."""
        plates = scene.plates[case.frame]
        self._planted.plates = [plates[i % len(plates)] for i in range(case.plates)]
        return self._alpr.run(scene.files[case.frame]).ms


class ModelContestant(Contestant):
    """The pipeline of a models folder, as this CPU takes it (:mod:`alpr_edge.picks`): the models
    and threads of :class:`~alpr_edge.pipeline.ALPR` itself."""

    def __init__(self, folder: Path, threads: int) -> None:
        chooser = Chooser(models=folder, threads=threads)
        detector, reader = chooser.setting("detector"), chooser.setting("reader")
        self.name = folder_name(folder)
        self.detector = PlateDetector(detector.folder, threads=detector.threads)
        self.reader = PlateReader(reader.folder, threads=reader.threads)
        super().__init__(self.detector, self.reader)

    def engines(self) -> dict[str, Engine]:
        """The networks by name, those of :data:`NETWORKS` that there are."""
        return self.detector.engines | {"reader": self.reader.engine}


def without_load(ms: Ms) -> float:
    """The whole run but for reading and decoding the file."""
    return ms[Stage.TOTAL] - ms[Stage.LOAD]


def overhead(ms: Ms) -> float:
    """Share of :func:`without_load` that is not spent in the networks; what cuts the closer look's
    close-ups counts with it."""
    return 1 - (ms[Stage.DETECT] + ms[Stage.CLOSER] + ms[Stage.READ]) / without_load(ms)
