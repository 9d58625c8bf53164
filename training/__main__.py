"""``python -m training reader|detector|publish|lr-find --data DATA ...``; ``-h`` tells the rest."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from alpr_edge.errors import AlprEdgeError, ExitCode

TRAINED = {
    "reader": "the reader",
    "detector": "the detector",
    "pretrain": "the reader's encoder to complete masked plates",
}
"""Commands that run the training loop, and on what."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    for name, what in TRAINED.items():
        command = commands.add_parser(name, help=f"train {what}; run again to resume")
        command.add_argument("--data", type=Path, required=True, help="folder with the pictures")
        command.add_argument("--run", type=Path, required=True, help="folder of this run")
        command.add_argument("--variant", default="edge", help="named size (default: edge)")
        command.add_argument("--minutes", type=float, help="length of the run (default: by steps)")
        command.add_argument("--threads", type=int, default=2)
        command.add_argument("--workers", type=int, default=1, help="loader processes")
        command.add_argument("--start", type=Path, help="weights to continue from (.safetensors)")
        command.add_argument("--fresh", action="store_true", help="do not resume")
        if name != "pretrain":
            command.add_argument(
                "--fast", action="store_true", help="a part of the data, 10 minutes"
            )
        if name == "detector":
            command.add_argument(
                "--imagenet", type=Path, help="timm's MobileNetV4 weights for the backbone"
            )
        elif name == "reader":
            command.add_argument("--encoder", type=Path, help="weights of a pretrain run")
            command.add_argument(
                "--freeze-encoder", action="store_true", help="only the rest learns"
            )
            command.add_argument(
                "--pseudo", type=Path, help="texts for plates without one, by the command pseudo"
            )
    tune = commands.add_parser("finetune", help="teach a reader your own plates, from 200 crops")
    tune.add_argument(
        "--data", type=Path, required=True, help="CSV image_path,plate_text, or a data folder"
    )
    tune.add_argument("--run", type=Path, required=True, help="folder of this run")
    tune.add_argument("--start", type=Path, help="weights to begin with (default: the shipped)")
    tune.add_argument("--minutes", type=float, default=5.0, help="length (default: 5)")
    tune.add_argument("--threads", type=int, default=2)
    find = commands.add_parser("lr-find", help="sweep the learning rate: curve and suggestion")
    find.add_argument("task", choices=("reader", "detector"))
    find.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    find.add_argument("--out", type=Path, required=True, help="folder for the curve")
    find.add_argument("--variant", default="edge", help="named size (default: edge)")
    find.add_argument("--steps", type=int, default=100, help="rates to try (default: 100)")
    find.add_argument("--threads", type=int, default=2)
    find.add_argument("--workers", type=int, default=1, help="loader processes")
    find.add_argument("--start", type=Path, help="weights to begin with (.safetensors)")
    find.add_argument("--imagenet", type=Path, help="detector: timm's MobileNetV4 weights")
    publish = commands.add_parser("publish", help="a run's best weights, fitted on dev, to a file")
    publish.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    publish.add_argument("--run", type=Path, required=True, help="folder of the run")
    publish.add_argument("--to", type=Path, required=True, help=".safetensors to write")
    for name, what in (
        ("pseudo", "texts for the plates without one, where readers agree"),
        ("suspects", "labels that are likely wrong, since readers agree on another text"),
    ):
        agree = commands.add_parser(name, help=what)
        agree.add_argument("--data", type=Path, required=True, help="folder with the pictures")
        agree.add_argument(
            "--weights", type=Path, required=True, action="append",
            help="a published reader (.safetensors); again for more readers",
        )
        agree.add_argument(
            "--out", type=Path, required=True, help="JSON lines to write; a .png goes beside"
        )
        agree.add_argument(
            "--least", type=float, default=0.9, help="least confidence (default: 0.9)"
        )
    check = commands.add_parser("check", help="what is wrong with the data, and histograms")
    check.add_argument("data", type=Path, help="folder with the pictures")
    check.add_argument("--out", type=Path, metavar="FILE", help="write all findings as JSON")
    sheet = commands.add_parser("sheet", help="training samples in one picture, to look at")
    sheet.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    sheet.add_argument("--out", type=Path, required=True, help="picture to write (.png)")
    sheet.add_argument("--what", default="reader", choices=("reader", "detector", "rendered"))
    sheet.add_argument("--strength", type=float, default=1.0, help="augmentation (default: 1)")
    sheet.add_argument("--seed", type=int, default=0)
    return root


def execute(options: argparse.Namespace) -> ExitCode | None:
    """Run a parsed command; it says how it ended where that is not simply well."""
    if options.command == "check":
        from training.check_tables import run as check

        return check(options.data, options.out)
    if options.command == "sheet":
        from training.sheet import write_sheet

        write_sheet(
            options.data, options.out, what=options.what, strength=options.strength,
            seed=options.seed,
        )
        return None
    if options.command in ("pseudo", "suspects"):
        from training.pseudo import load_reader, write_pseudo, write_suspects

        write = write_pseudo if options.command == "pseudo" else write_suspects
        readers = [load_reader(path) for path in options.weights]
        write(options.data, readers, options.out, options.least)
        return None
    if options.command == "publish":
        from training.publish import publish

        print(publish(options.run, options.to, options.data))
        return None
    if options.command == "lr-find":
        from training.lr_find import run as find

        sweep = find(
            options.task, options.data, options.out, variant=options.variant, steps=options.steps,
            threads=options.threads, workers=options.workers, start=options.start,
            imagenet=options.imagenet,
        )
        print(f"{sweep.suggestion:.2g}")
        if sweep.suggestion < sweep.rates[0]:
            print("the loss hardly fell: look at the curve, and try more --steps", file=sys.stderr)
        return None
    if options.command == "finetune":
        from training.finetune import SHIPPED, finetune

        print(finetune(
            options.data, options.run, start=options.start or SHIPPED, minutes=options.minutes,
            threads=options.threads,
        ))
        return None
    common = {
        "variant": options.variant, "minutes": options.minutes, "threads": options.threads,
        "workers": options.workers, "start": options.start, "resume": not options.fresh,
    }
    if options.command == "reader":
        from training.reader.train import run as train_reader

        train_reader(
            options.data, options.run, encoder=options.encoder,
            freeze_encoder=options.freeze_encoder, pseudo=options.pseudo,
            fast=options.fast, **common,
        )
    elif options.command == "pretrain":
        from training.reader.pretrain import run as pretrain

        pretrain(options.data, options.run, **common)
    else:
        from training.detector.train import run as train_detector

        train_detector(
            options.data, options.run, imagenet=options.imagenet, fast=options.fast, **common
        )


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        code = execute(options)
    except AlprEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error.filename or 'output'}: {error.strerror}; free some space or name "
              "another folder, then run the same command again to resume", file=sys.stderr)
        return ExitCode.OUTPUT
    except KeyboardInterrupt:
        print("interrupted; run the same command again to resume", file=sys.stderr)
        return ExitCode.INTERRUPTED
    return ExitCode.OK if code is None else code


if __name__ == "__main__":
    sys.exit(main())
