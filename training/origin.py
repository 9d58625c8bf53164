"""How long the origin's own design takes, in the same run as ours: ``python -m training origin``.

The origin is the design this project began from: a detector of the class of MobileNetV4-Conv-Medium
with BiFPN and SCRFD's kind of head at 256 x 256, decoded in PyTorch, and a MaskOCR reader 624 wide
(8 + 6 layers, 12 heads), both in PyTorch FP32, eager. Nobody trained them here: their weights are
random, so only their times mean anything. Every run is of one 1920 x 1080 frame and one plate on
it, the same for all; untrained, the origin finds none, so its suppression of doubles has no work.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from alpr_edge import __version__, decode, geometry, isa
from alpr_edge._cv2 import cv2
from alpr_edge.cpu import BUSY, cpu_name, load_average, usable_cores
from alpr_edge.data.folders import pictures_in
from alpr_edge.detector import Framed, PlateDetector, StagedDetector
from alpr_edge.engine import runtime_version
from alpr_edge.errors import DataError, ExitCode, OutputError, UsageError
from alpr_edge.images import load_image
from alpr_edge.picks import MODELS
from alpr_edge.pipeline import rectify_all
from alpr_edge.reader import PlateReader, decode_logits
from alpr_edge.stages import DETECTION_STAGES, READING_STAGES, Stage
from alpr_edge.tune import DEMO
from alpr_edge.tuning import Chooser
from alpr_edge.types import Detection, Image, Reading
from training.checkpoint import commit
from training.detector.model import Detector, detector_medium
from training.reader.model import Reader, reader_seed
from training.torch_cap import check_cap, environment, is_effective

SIZE = (256, 256)
"""The origin's own input, height and width."""
FRAME = (1080, 1920)
CASE = "1080p/1"
OURS = "ours"
WARM_UP = 3
REST = 0.02
"""Seconds before each run: PyTorch's threads wait for more work by spinning, which would slow
whoever is next."""
MIN_SCORE, NMS_IOU = 0.3, 0.5
"""What the origin's detections must have, and may overlap."""
PARTS = {"detection": DETECTION_STAGES, "reading": READING_STAGES,
         "total": (*DETECTION_STAGES, *READING_STAGES)}

Ms = Mapping[Stage, float]


class TorchDetector(StagedDetector):
    """A detector in PyTorch that decodes all cells, as it was published."""

    def __init__(self, network: Detector, size: tuple[int, int]) -> None:
        self.size = size
        self._network = network.eval()
        self._grid = [torch.from_numpy(values) for values in decode.grid(*size)]

    def letterbox(self, image: Image) -> Framed:
        """The picture scaled into the network's frame."""
        frame, mapping = geometry.letterbox(image, *self.size)
        height, width = image.shape[:2]
        return Framed(frame=frame[None], mapping=mapping, width=width, height=height)

    @torch.inference_mode()
    def infer(self, framed: Framed) -> tuple[torch.Tensor, ...]:
        """Score logits (1, P), bin logits (1, P, 4, B), corner offsets (1, P, 8)."""
        return self._network.raw(torch.from_numpy(framed.frame))

    @torch.inference_mode()
    def postprocess(self, outputs: tuple[torch.Tensor, ...], framed: Framed) -> list[Detection]:
        """Every cell decoded, then those kept that are sure and no doubles."""
        logits, bins, offsets = (output[0] for output in outputs)
        points, strides = self._grid
        boxes = decode.decode_boxes(points, strides, self._network.expect(bins))
        corners = decode.decode_corners(points, strides, offsets)
        scores, best = logits.sigmoid().topk(min(decode.MAX_CANDIDATES, len(logits)))
        boxes, quads, kept = decode.select(
            scores.numpy(), boxes[best].numpy(), corners[best].numpy(),
            min_score=MIN_SCORE, iou=NMS_IOU,
        )
        boxes = framed.mapping.inverse(boxes.reshape(-1, 2, 2))
        return [
            Detection(box=geometry.quad_box(box), corners=geometry.as_quad(quad), confidence=score)
            for box, quad, score in zip(
                boxes, framed.mapping.inverse(quads), kept.tolist(), strict=True)
        ]


class StagedReader(Protocol):
    """A reader of two steps."""

    def infer(self, plates: NDArray[np.uint8]) -> Any:
        """Rectified plates (N, 48, 192, 3) uint8 BGR to raw outputs."""

    def decode(self, outputs: Any) -> list[Reading]:
        """Raw outputs to one Reading a plate."""


class TorchReader:
    """A reader in PyTorch."""

    def __init__(self, network: Reader) -> None:
        self._network = network.eval()

    @torch.inference_mode()
    def infer(self, plates: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        """Slots' logits, tokens' logits, rows' logits."""
        return tuple(output.numpy() for output in self._network(torch.from_numpy(plates)))

    def decode(self, outputs: tuple[NDArray[np.float32], ...]) -> list[Reading]:
        """As ours reads the same outputs."""
        logits, tokens, rows = outputs
        return decode_logits(logits, tokens, rows.argmax(axis=-1) + 1, 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contestant:
    """``size`` is the detector's input, height and width."""

    name: str
    size: tuple[int, int]
    untrained: bool
    detector: StagedDetector
    reader: StagedReader


def contestants(threads: int, models: Path = MODELS) -> list[Contestant]:
    """Ours, the origin at its own size, and the origin at our detector's size."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    torch.manual_seed(0)
    chooser = Chooser(models=models)
    ours = PlateDetector(chooser.setting("detector").folder, threads=threads)
    reader = PlateReader(chooser.setting("reader").folder, threads=threads)
    detector, text = detector_medium(), TorchReader(reader_seed())
    return [
        Contestant(name=OURS, size=ours.engine.size, untrained=False, detector=ours, reader=reader),
        *(Contestant(name=name, size=size, untrained=True, reader=text,
                     detector=TorchDetector(detector, size))
          for name, size in (("origin", SIZE), ("origin at our input size", ours.engine.size))),
    ]


def run(contestant: Contestant, frame: Image, plate: Detection) -> dict[Stage, float]:
    """Milliseconds of each stage: whatever is detected in the frame, ``plate`` is read."""
    stamps = [time.perf_counter_ns()]

    def lap(value: Any) -> Any:
        stamps.append(time.perf_counter_ns())
        return value

    framed = lap(contestant.detector.letterbox(frame))
    outputs = lap(contestant.detector.infer(framed))
    lap(contestant.detector.postprocess(outputs, framed))
    lap(contestant.detector.look_closer([plate], frame))
    crops = lap(rectify_all(frame, [plate.corners]))
    raw = lap(contestant.reader.infer(crops))
    lap(contestant.reader.decode(raw))
    return {stage: (end - begin) / 1e6
            for stage, begin, end in zip(PARTS["total"], stamps, stamps[1:], strict=False)}


def scenes(detector: StagedDetector) -> list[tuple[Image, Detection]]:
    """The repository's demo pictures as 1920 x 1080 frames, each with its surest plate.

    Raises:
        DataError: there is none with a plate.
    """
    found = []
    for path in pictures_in(DEMO) if DEMO.is_dir() else ():
        frame, _ = geometry.letterbox(load_image(path), *FRAME)
        found += [(frame, plate) for plate in detector.predict(frame)[:1]]
    if not found:
        raise DataError(f"no picture with a plate in {DEMO}; run it in a checkout of the project")
    return found


def measure(
    entered: Sequence[Contestant], shown: Sequence[tuple[Image, Detection]], runs: int
) -> list[list[Ms]]:
    """``runs`` counted runs of each, taking turns on every frame, with another one first each."""
    taken: list[list[Ms]] = [[] for _ in entered]
    for number in range(-WARM_UP, runs):
        for turn in range(len(entered)):
            who = (turn + number) % len(entered)
            time.sleep(REST)
            ms = run(entered[who], *shown[number % len(shown)])
            if number >= 0:
                taken[who].append(ms)
    return taken


def described(contestant: Contestant, taken: Sequence[Ms]) -> dict[str, Any]:
    """One entry of the report's ``models``."""
    samples = {part: [round(sum(ms[stage] for stage in stages), 4) for ms in taken]
               for part, stages in PARTS.items()}
    return {
        "name": contestant.name, "input": list(contestant.size), "untrained": contestant.untrained,
        "cases": {CASE: {
            "stages": {stage: _summary([ms[stage] for ms in taken]) for stage in PARTS["total"]},
            **{part: _summary(values) for part, values in samples.items()},
            "samples": samples["total"], "parts": samples,
        }},
    }


def _summary(values: Sequence[float]) -> dict[str, float]:
    p50, p90, p99 = np.percentile(values, (50, 90, 99)).round(4).tolist()
    return {"p50": p50, "p90": p90, "p99": p99, "max": round(max(values), 4)}


def multiples(models: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """How many times as long as ours each other takes: the ratio of the medians of each part."""
    ours, *others = (model["cases"][CASE] | {"name": model["name"]} for model in models)
    return {
        other["name"]: {part: round(other[part]["p50"] / ours[part]["p50"], 2) for part in PARTS}
        for other in others
    }


def report(threads: int, runs: int, target: str) -> dict[str, Any]:
    """Measure in this process, whose environment is capped to ``target``.

    Raises:
        LibraryError: PyTorch does not obey its cap. DataError, ModelError: see :func:`scenes` and
            :class:`~alpr_edge.detector.PlateDetector`.
    """
    load = load_average()
    capability = torch.backends.cpu.get_cpu_capability()
    check_cap(capability)
    entered = contestants(threads)
    shown = scenes(entered[0].detector)
    models = [described(*one) for one in
              zip(entered, measure(entered, shown, runs), strict=True)]
    noise = [f"load average {load:.2f} before (at most {BUSY:g})"] if load > BUSY else []
    return {
        "schema": 1, "kind": "origin", "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpu": cpu_name(), "usable_cores": usable_cores(), "torch": torch.__version__,
                    "openvino": runtime_version(), "alpr_edge": __version__},
        "isa": {"asked": target, "onednn": isa.verify_isa(target), "torch": capability},
        "conditions": {"noise": noise}, "threads": threads, "runs": runs,
        "pictures": "demo", "scenes": len(shown), "weights": "random but ours: latency only",
        "models": models, "multiples": multiples(models),
    }


def execute(threads: int, runs: int, target: str, out: Path | None) -> int:
    """The command: measure, in a child process if this one is not capped to ``target``, write the
    report to ``out`` and print its sums. Returns the exit code.

    Raises:
        UsageError: a number is too small, or this CPU cannot execute ``target``.
        LibraryError: a cap is not effective. DataError, ModelError: see :func:`report`.
        OutputError: ``out`` cannot be written.
    """
    if threads < 1 or runs < 1:
        raise UsageError(f"--threads {threads}, --runs {runs}; allowed: 1 or more")
    if out is not None and not out.resolve().parent.is_dir():
        raise OutputError(f"--out {out}: its folder does not exist; make it first")
    words = ["origin", "--threads", str(threads), "--runs", str(runs), "--isa", target]
    if not is_effective(target):
        isa.verify_isa(target)
        words += [] if out is None else ["--out", str(out)]
        return subprocess.call([sys.executable, "-m", "training", *words], env=environment(target))
    found = {"command": f"python -m training {' '.join(words)}", **report(threads, runs, target)}
    if out is not None:
        out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(told(found))
    return ExitCode.OK


def told(found: Mapping[str, Any]) -> str:
    """A report's medians, one line a contestant."""
    lines = [f"noisy: {reason}" for reason in found["conditions"]["noise"]]
    for model in found["models"]:
        case, (height, width) = model["cases"][CASE], model["input"]
        times = ", ".join(f"{part} {case[part]['p50']:.1f} ms" for part in PARTS)
        ratios = found["multiples"].get(model["name"], {})
        more = ", ".join(f"{part} {ratio:.1f}x" for part, ratio in ratios.items())
        lines.append(f"{model['name']}, {height} x {width}: {times}"
                     + (f" (times ours: {more}; random weights)" if more else ""))
    return "\n".join(lines)
