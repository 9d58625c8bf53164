"""Groups of command-line options; each step names those that it takes."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from alpr_edge import isa
from optimize.steps import TARGET, Tolerances
from training.arguments import add_missed, add_texts, at_least_one, natural

THREADS, RUNS = 2, 200
FRAME, PLATES = (1080, 1920), 4
BIAS_CORRECTIONS = ("fast", "full", "none")
MAX_DROP = 0.5
"""Points of accuracy that a pick may lose."""


def add_data(command: argparse.ArgumentParser) -> None:
    """The pictures."""
    command.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    command.add_argument(
        "--limit", type=at_least_one, metavar="N", help="at most N pictures of each kind"
    )


def add_out(command: argparse.ArgumentParser) -> None:
    """The folder of all variants, and the target."""
    command.add_argument("--out", type=Path, required=True, help="folder of the models")
    add_target(command)


def add_target(command: argparse.ArgumentParser) -> None:
    """The target."""
    command.add_argument(
        "--target", "--isa", default=TARGET, choices=isa.ISAS,
        help="the CPU that models are judged and timed for (%(default)s)",
    )


def add_targets(command: argparse.ArgumentParser) -> None:
    """The folder of all variants, and any number of targets."""
    command.add_argument("--out", type=Path, required=True, help="folder of the models")
    command.add_argument(
        "--target", "--isa", action="append", dest="targets", choices=isa.ISAS,
        help=f"a CPU that models are judged and timed for; again for more ({TARGET})",
    )


def _points(text: str) -> float:
    """A loss in points: 0 to 100."""
    if not 0 <= (points := float(text)) <= 100:
        raise argparse.ArgumentTypeError(f"{text}; allowed: 0 to 100")
    return points


def _zero_to_one(text: str) -> float:
    """A share, both ends included."""
    if not 0 <= (share := float(text)) <= 1:
        raise argparse.ArgumentTypeError(f"{text}; allowed: 0 to 1")
    return share


def add_size(command: argparse.ArgumentParser) -> None:
    """The detector's input."""
    command.add_argument(
        "--size", type=_size, metavar="HxW", help="the detector's input, e.g. 416 or 384x640"
    )


def add_max_drop(command: argparse.ArgumentParser) -> None:
    """What may be lost."""
    command.add_argument(
        "--max-drop", type=_points, default=MAX_DROP, metavar="POINTS",
        help="greatest loss of accuracy on dev that is allowed (%(default)s)",
    )


def add_timing(command: argparse.ArgumentParser) -> None:
    """How latencies are taken."""
    command.add_argument(
        "--threads", type=at_least_one, default=THREADS,
        help="of a detector, and of one graph; a reader alone has 1, as in the runtime "
             "(%(default)s)",
    )
    command.add_argument(
        "--runs", type=at_least_one, default=RUNS, help="counted runs of each variant (%(default)s)"
    )


def timing(threads: int, runs: int, limit: int | None) -> str:
    """The options that latencies were taken with, for a manifest's command."""
    return f"--threads {threads} --runs {runs}" + (f" --limit {limit}" if limit else "")


def add_quantize(command: argparse.ArgumentParser) -> None:
    """How to quantize; each setting replaces the comparing of several."""
    command.add_argument(
        "--detector", type=Path, metavar="DIR",
        help="model that cuts the reader's plates out of frames (all: the one made in this run)",
    )
    only = "; makes this setting only, instead of the best of several"
    command.add_argument(
        "--overflow-fix", choices=("enable", "first_layer_only", "disable"),
        help=f"weights of 7 bits: all (right for AVX2 without VNNI), first layer, none{only}",
    )
    command.add_argument(
        "--preset", choices=("performance", "mixed"), help=f"activations symmetric or not{only}"
    )
    command.add_argument("--bias-correction", choices=BIAS_CORRECTIONS, help=only[2:])
    command.add_argument(
        "--matmuls", choices=("fp32", "int8", "convolutions"),
        help="matrix products: not quantized, quantized (pays with VNNI), or as convolutions "
             f"quantized (pays on AVX2 too; not for qat){only}",
    )


def quantize_settings(given: argparse.Namespace) -> dict[str, Any]:
    """The settings that were fixed, of what :func:`add_quantize` parsed."""
    names = ("overflow_fix", "preset", "bias_correction", "matmuls")
    return {name: getattr(given, name) for name in names if getattr(given, name)}


def quantize_config(given: argparse.Namespace, task: str, name: str) -> Any:
    """The :class:`optimize.quantize.QuantizeConfig` of the variant ``name`` of a task."""
    from optimize.quantize import QuantizeConfig

    return QuantizeConfig(
        name=name, target=given.target, limit=given.limit,
        detector=given.detector if task == "reader" else None, **quantize_settings(given),
    )


def add_training(command: argparse.ArgumentParser) -> None:
    """How long to train on, and with what."""
    command.add_argument(
        "--minutes", type=float, default=30.0, help="of training, each time (%(default)s)"
    )
    command.add_argument("--train-threads", type=at_least_one, default=2, help="(%(default)s)")
    add_texts(command)
    add_missed(command)
    command.add_argument(
        "--workers", type=natural, default=1, help="loader processes (%(default)s)"
    )


def add_ratio(command: argparse.ArgumentParser) -> None:
    """How much to prune."""
    command.add_argument(
        "--ratio", type=_share, nargs="+", default=[0.25, 0.4, 0.55], metavar="SHARE",
        help="of the multiply-accumulates to cut, one step after the other (0.25 0.4 0.55)",
    )
    command.add_argument(
        "--layers", type=int, default=0, metavar="N",
        help="a reader's blocks to take away whole in the first step (%(default)s)",
    )


def add_zeros(command: argparse.ArgumentParser) -> None:
    """How sparse."""
    command.add_argument(
        "--zeros", type=_share, nargs="+", default=[0.5], metavar="SHARE",
        help="of each layer's weights to set to zero (0.5)",
    )


def add_tolerances(command: argparse.ArgumentParser) -> None:
    """How far a variant may stray from its parent."""
    tolerances = Tolerances()
    command.add_argument(
        "--min-agreement", type=_zero_to_one, default=tolerances.agreement, metavar="SHARE",
        help="least share of the parent's decoded results to be repeated (%(default)s)",
    )
    command.add_argument(
        "--max-corner-shift", type=_zero_to_one, default=tolerances.corners, metavar="SHARE",
        help="greatest median shift of the corners, of the plate's width (%(default)s)",
    )


def tolerances(given: argparse.Namespace) -> Tolerances:
    """Of what :func:`add_tolerances` parsed."""
    return Tolerances(agreement=given.min_agreement, corners=given.max_corner_shift)


def add_measure(command: argparse.ArgumentParser) -> None:
    """What is measured, and where to."""
    command.add_argument(
        "source", metavar="VARIANT_DIR", type=Path, nargs="*",
        help="folders OUT/NAME/TASK, the one that drops are told against first (default: all)",
    )
    command.add_argument("--split", default="dev", choices=("dev", "val"), help="(%(default)s)")
    command.add_argument(
        "--latency-only", action="store_true", help="no accuracy; nothing can be picked then"
    )
    command.add_argument(
        "--untrained", action="append", default=[], metavar="SIZE",
        help="a size of python -m training reader to measure with random weights: time and size "
             "only; again for more",
    )
    command.add_argument(
        "--report", type=Path, metavar="FILE", help="another report than OUT/report.json"
    )


def add_one_graph(command: argparse.ArgumentParser) -> None:
    """The two checkpoints, and what one graph is made for."""
    for task in ("detector", "reader"):
        command.add_argument(task, type=Path, metavar=f"{task.upper()}_CHECKPOINT")
    command.add_argument(
        "--frame", type=_frame, default=FRAME, metavar="HxW",
        help=f"the camera's height and width (default: {FRAME[0]}x{FRAME[1]})",
    )
    command.add_argument(
        "--plates", type=at_least_one, default=PLATES, metavar="K",
        help="plates read in every frame: the K best, each costs its time (%(default)s)",
    )


def _frame(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: HEIGHTxWIDTH, e.g. 1080x1920")
    return int(height), int(width)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: above 0 and below 1, e.g. 0.25")
    return value


def _size(text: str) -> tuple[int, int]:
    height, x, width = text.partition("x")
    sides = [int(side) if side.isdecimal() else 0 for side in (height, width if x else height)]
    if any(side <= 0 or side % 32 for side in sides):
        raise argparse.ArgumentTypeError(
            f"{text!r}; allowed: SIDE or HEIGHTxWIDTH, multiples of 32, e.g. 416 or 384x640"
        )
    return sides[0], sides[1]
