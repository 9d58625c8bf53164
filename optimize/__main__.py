"""``python -m optimize all CHECKPOINT... --data DATA --out DIR``: weights to deployed models."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from alpr_edge import isa
from alpr_edge import manifest as manifests
from alpr_edge.errors import AlprEdgeError, ExitCode, UsageError
from optimize.steps import StepResult, Tolerances


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m optimize", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)

    def command(name: str, help_: str, source: str, count: str | None = None) -> None:
        one = commands.add_parser(name, help=help_, description=help_)
        one.add_argument("source", metavar=source, type=Path, nargs=count)
        one.add_argument("--data", type=Path, required=True, help="folder with the pictures")
        one.add_argument("--out", type=Path, required=True, help="folder of the models")
        one.add_argument("--limit", type=_positive, metavar="N", help="at most N calib pictures")
        if name in ("all", "export"):
            one.add_argument("--size", type=_size, metavar="HxW", help="the detector's input")
        if name in ("all", "quantize"):
            _add_quantize(one)

    command("all", "every step: export, convert, quantize", "CHECKPOINT", "+")
    command("export", "trained weights to ONNX", "CHECKPOINT")
    command("convert", "ONNX to OpenVINO IR, FP32", "ONNX_DIR")
    command("quantize", "OpenVINO IR to INT8", "FP32_DIR")
    compare = commands.add_parser("compare", help="share of equal decoded results, as JSON")
    for name in ("parent", "child"):
        compare.add_argument(name, type=Path)
    compare.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    compare.add_argument("--limit", type=_positive, metavar="N", help="at most N calib pictures")
    compare.add_argument("--isa-name", default=isa.NATIVE, help="what to call this process's ISA")
    return root


def _add_quantize(command: argparse.ArgumentParser) -> None:
    tolerances = Tolerances()
    command.add_argument(
        "--detector", type=Path, metavar="DIR",
        help="model that cuts the reader's plates out of frames (all: the one made in this run)",
    )
    command.add_argument("--isa", default="avx2", choices=isa.ISAS, help="where INT8 is judged")
    command.add_argument(
        "--overflow-fix", default="enable", choices=("enable", "first_layer_only", "disable"),
        help="weights of 7 bits: all (right for AVX2 without VNNI), first layer, none",
    )
    command.add_argument(
        "--matmuls", action="store_true",
        help="quantize matrix products too: faster with VNNI, slower on AVX2",
    )
    command.add_argument(
        "--min-agreement", type=float, default=tolerances.agreement, metavar="SHARE",
        help="least share of FP32's decoded results that INT8 must repeat (%(default)s)",
    )
    command.add_argument(
        "--max-corner-shift", type=float, default=tolerances.corners, metavar="SHARE",
        help="greatest median shift of INT8's corners, of the plate's width (%(default)s)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: 1 or more")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    height, x, width = text.partition("x")
    sides = [int(side) if side.isdecimal() else 0 for side in (height, width)]
    if not x or any(side <= 0 or side % 32 for side in sides):
        raise argparse.ArgumentTypeError(
            f"{text!r}; allowed: HEIGHTxWIDTH, both multiples of 32, e.g. 384x640"
        )
    return sides[0], sides[1]


def run(options: argparse.Namespace) -> None:
    """Run a command's steps.

    Raises:
        AlprEdgeError: wrong options, data or models, or a step failed.
    """
    if options.command == "compare":
        from optimize.compare import compare_decoded

        agreement = compare_decoded(
            options.parent, options.child, options.data,
            instruction_set=options.isa_name, limit=options.limit,
        )
        print(json.dumps(dataclasses.asdict(agreement)))
    elif options.command == "all":
        _run_all(options)
    else:
        {"export": _export, "convert": _convert, "quantize": _quantize}[options.command](
            options, options.source
        )


def _run_all(options: argparse.Namespace) -> None:
    """All steps of each checkpoint, a detector first: the reader's plates are cut out by it."""
    from training.checkpoint import load_weights

    tasks = {path: load_weights(path).task for path in options.source}
    if len(set(tasks.values())) < len(options.source):
        raise UsageError(
            f"checkpoints of {list(tasks.values())}; allowed: one detector, one reader or both"
        )
    total = 3 * len(tasks)
    done = 0
    for path in sorted(tasks, key=lambda path: tasks[path]):
        source = path
        for step in (_export, _convert, _quantize):
            done += 1
            result = _numbered(f"{done}/{total}", step, options, source)
            if step is _convert and tasks[path] == "detector" and options.detector is None:
                options.detector = result.folder
            source = result.folder


Step = Callable[[argparse.Namespace, Path], StepResult]


def _numbered(number: str, step: Step, options: argparse.Namespace, source: Path) -> StepResult:
    name = step.__name__.lstrip("_")
    print(f"{number} {name} {source} ...", file=sys.stderr, flush=True)
    begin = time.perf_counter()
    result = step(options, source)
    how = "kept: nothing changed" if result.kept else f"{time.perf_counter() - begin:.0f} s"
    figures = ", ".join(f"{key} {value:.4g}" for key, value in result.manifest.parity.items())
    print(f"{number} {name} → {result.folder} ({how}): {figures}", file=sys.stderr, flush=True)
    return result


def _export(options: argparse.Namespace, checkpoint: Path) -> StepResult:
    import torch

    from optimize.export import DETECTOR_SIZE, export
    from optimize.pictures import calibration_pictures
    from training.checkpoint import load_weights

    torch.set_num_threads(1)  # single pictures gain nothing, a busy machine loses much
    crops = load_weights(checkpoint).task == "reader"
    pictures = calibration_pictures(options.data, crops=crops, limit=options.limit)
    return export(
        checkpoint, options.out, pictures, size=options.size or DETECTOR_SIZE,
        tolerances=Tolerances(),
    )


def _convert(options: argparse.Namespace, source: Path) -> StepResult:
    from optimize.convert import convert
    from optimize.pictures import calibration_pictures

    crops = manifests.load(source).task == "reader"
    pictures = calibration_pictures(options.data, crops=crops, limit=options.limit)
    return convert(source, options.out, pictures, tolerances=Tolerances())


def _quantize(options: argparse.Namespace, source: Path) -> StepResult:
    from optimize.quantize import QuantizeConfig, quantize

    config = QuantizeConfig(
        overflow_fix=options.overflow_fix, matmuls=options.matmuls, isa=options.isa,
        limit=options.limit,
        detector=options.detector if manifests.load(source).task == "reader" else None,
    )
    tolerances = Tolerances(
        agreement=options.min_agreement, corners=options.max_corner_shift
    )
    return quantize(source, options.out, options.data, config, tolerances=tolerances)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run it; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        run(options)
    except AlprEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; finished steps are kept", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
