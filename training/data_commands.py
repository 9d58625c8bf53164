"""The commands of ``python -m training`` that look at data: for each its options and what it calls.

Libraries are imported by the command that needs them, so that ``-h`` answers at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from alpr_edge.data.sample import Split
from alpr_edge.errors import ExitCode
from training.arguments import DATA, at_least_one


def add_pseudo(command: argparse.ArgumentParser) -> None:
    """Options of ``pseudo``."""
    _add_readers(command)
    command.add_argument(
        "--least", type=float, default=0.9, help="least confidence (default: 0.9)"
    )
    command.add_argument(
        "--rest", type=Path, help="JSON lines of those not agreed on, drawn, for a person to read"
    )


def add_suspects(command: argparse.ArgumentParser) -> None:
    """Options of ``suspects``."""
    _add_readers(command)
    command.add_argument(
        "--least", type=float, default=0.2,
        help="least share of another text in what it and the label get (default: 0.2)",
    )


def _add_readers(command: argparse.ArgumentParser) -> None:
    """The options that both have."""
    command.add_argument("--data", type=Path, required=True, help=DATA)
    command.add_argument(
        "--weights", type=Path, required=True, action="append",
        help="a published reader (.safetensors); again for more readers",
    )
    command.add_argument(
        "--out", type=Path, required=True, help="JSON lines to write; pictures go beside"
    )


def pseudo(options: argparse.Namespace) -> None:
    """List pseudo-labels."""
    from training.pseudo import load_readers, write_pseudo

    readers = load_readers(options.weights)
    write_pseudo(options.data, readers, options.out, options.least, options.rest)


def suspects(options: argparse.Namespace) -> None:
    """List suspect labels."""
    from training.pseudo import load_readers
    from training.suspects import write_suspects

    write_suspects(options.data, load_readers(options.weights), options.out, options.least)


def add_missed(command: argparse.ArgumentParser) -> None:
    """Options of ``missed``."""
    command.add_argument("--data", type=Path, required=True, help=DATA)
    command.add_argument("--weights", type=Path, required=True, help="a detector (.safetensors)")
    command.add_argument(
        "--out", type=Path, required=True, help="JSON lines to write; pictures go beside"
    )
    command.add_argument("--least", type=float, default=0.5, help="least score (default: 0.5)")
    command.add_argument("--split", default=Split.TRAIN.value, choices=[s.value for s in Split],
                         help="whose frames (default: train)")


def missed(options: argparse.Namespace) -> None:
    """List what may be plates that nobody annotated."""
    from training.missed import write_missed
    from training.pseudo import check_out

    check_out(options.out)
    count = write_missed(
        options.data, options.weights, options.out, options.least, Split(options.split)
    )
    print(f"{count} detections are listed in {options.out}; keep the lines that are plates")


def add_frame_texts(command: argparse.ArgumentParser) -> None:
    """Options of ``frame-texts``."""
    command.add_argument("--data", type=Path, required=True, help=DATA)
    command.add_argument("--models", type=Path, help="folder of a detector and a reader (shipped)")
    command.add_argument(
        "--out", type=Path, required=True, help="JSON lines to write; pictures go beside"
    )
    command.add_argument("--split", default=Split.TRAIN.value, choices=("train", "dev"),
                         help="whose frames (default: train)")


def frame_texts(options: argparse.Namespace) -> None:
    """List what is read on plates of frames that have no text."""
    from alpr_edge.pipeline import ALPR
    from training.frame_texts import write_frame_texts
    from training.pseudo import check_out

    check_out(options.out)
    alpr = ALPR(models=options.models, min_confidence=0)
    count = write_frame_texts(options.data, alpr, options.out, Split(options.split))
    print(f"{count} readings are listed in {options.out}; correct each text that is wrong, and "
          "take out the lines that nobody can read")


def add_csv(command: argparse.ArgumentParser) -> None:
    """Options of ``csv``."""
    command.add_argument("data", type=Path, help=DATA)
    command.add_argument("--set", required=True, help="the set's name")
    command.add_argument(
        "--count", type=at_least_one, default=200, help="of split train (default: 200)"
    )
    command.add_argument("--out", type=Path, required=True, help=".csv to write")


def csv(options: argparse.Namespace) -> None:
    """Write a CSV of cut-outs."""
    from training.csv_list import write_csv

    print(f"{write_csv(options.data, options.set, options.count, options.out)} cut-outs")


def add_check(command: argparse.ArgumentParser) -> None:
    """Options of ``check``."""
    command.add_argument("data", type=Path, help=DATA)
    command.add_argument("--out", type=Path, metavar="FILE", help="write all findings as JSON")
    command.add_argument(
        "--corrections", type=Path, action="append", default=[], metavar="FILE",
        help="wrong labels (suspects): check with the right ones; again for more lists",
    )


def check(options: argparse.Namespace) -> ExitCode:
    """Check the data."""
    from training.check_tables import run

    return run(options.data, options.out, options.corrections)


def add_sheet(command: argparse.ArgumentParser) -> None:
    """Options of ``sheet``."""
    command.add_argument("--data", type=Path, required=True, help=DATA)
    command.add_argument("--out", type=Path, required=True, help="picture to write (.png)")
    command.add_argument(
        "--what", default="reader", choices=("reader", "detector", "closer", "rendered")
    )
    command.add_argument("--strength", type=float, default=1.0, help="augmentation (default: 1)")
    command.add_argument("--seed", type=int, default=0)


def sheet(options: argparse.Namespace) -> None:
    """Draw a sheet."""
    from training.sheet import write_sheet

    write_sheet(
        options.data, options.out, what=options.what, strength=options.strength, seed=options.seed
    )


def add_close_ups(command: argparse.ArgumentParser) -> None:
    """Options of ``close-ups``."""
    command.add_argument("--data", type=Path, required=True, help=DATA)
    command.add_argument("--detector", type=Path, required=True, metavar="DIR",
                         help="model folder of the detector whose finds are looked at")
    command.add_argument("--out", type=Path, required=True, help="data folder to write")


def close_ups(options: argparse.Namespace) -> None:
    """Write what a detector finds as close-ups."""
    from training.detector.close_ups import write_close_ups

    print(f"{write_close_ups(options.data, options.detector, options.out)} close-ups")
