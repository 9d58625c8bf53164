"""What several commands of ``python -m training`` ask for, and what it means."""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.loop import LoopConfig
    from training.options import RunOptions

DATA = "folder with the pictures"


def add_run(command: argparse.ArgumentParser) -> None:
    """What the commands have in common that train a network from its recipe."""
    command.add_argument("--data", type=Path, required=True, help=DATA)
    command.add_argument("--run", type=Path, required=True, help="folder of this run")
    command.add_argument("--variant", default="edge", help="named size (default: edge)")
    command.add_argument("--start", type=Path, help="weights to continue from (.safetensors)")
    add_loop(command)
    command.add_argument(
        "--leave-out", action="append", default=[], metavar="SET",
        help="a set not to learn from; again for more",
    )
    add_options(command)


def add_loop(command: argparse.ArgumentParser) -> None:
    """What may differ from a recipe's :class:`training.loop.LoopConfig`."""
    command.add_argument("--minutes", type=positive, help="length of the run (default: by steps)")
    command.add_argument(
        "--lr", type=positive, help="highest learning rate (default: the recipe's; with --start "
        "a lower one forgets less)",
    )
    command.add_argument(
        "--seed", type=natural,
        help="of all that is random (default: the recipe's; with --start take "
        "another one than the weights learned with, else the same samples come again)",
    )


def positive(text: str) -> float:
    """A number above 0, for argparse."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: allowed: a number above 0")
    return value


def natural(text: str) -> int:
    """A whole number from 0 on, for argparse."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text}: allowed: a whole number from 0 on")
    return value


def at_least_one(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    if (value := natural(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text}: allowed: a whole number from 1 on")
    return value


def as_asked(loop: LoopConfig, options: argparse.Namespace) -> LoopConfig:
    """``loop`` with the learning rate and the seed that were asked for."""
    asked = {"lr": options.lr, "seed": options.seed}
    return dataclasses.replace(loop, **{k: v for k, v in asked.items() if v is not None})


def add_options(command: argparse.ArgumentParser) -> None:
    """:class:`training.options.RunOptions`."""
    command.add_argument("--threads", type=at_least_one, default=2)
    command.add_argument(
        "--workers", type=natural, default=1, help="loader processes (default: 1)"
    )
    command.add_argument("--fresh", action="store_true", help="do not resume")
    command.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    command.add_argument("--wandb", metavar="PROJECT", help="log to Weights & Biases too")


def add_fast(command: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup) -> None:
    """For trying an idea."""
    command.add_argument("--fast", action="store_true", help="a part of the data, 10 minutes")


def add_texts(command: argparse.ArgumentParser) -> None:
    """Lists that change which texts a reader learns from."""
    command.add_argument(
        "--pseudo", type=Path, help="reader: texts for plates without one, by the command pseudo"
    )
    add_corrections(command)


def add_corrections(command: argparse.ArgumentParser) -> None:
    """The lists of wrong labels and of texts on frames."""
    command.add_argument(
        "--frame-texts", type=Path,
        help="reader: texts for plates of frames of train and dev; see the command frame-texts",
    )
    command.add_argument(
        "--corrections", type=Path,
        help="reader: labels of train and dev that are wrong, and what is right; see suspects",
    )


def add_missed(command: argparse.ArgumentParser) -> None:
    """The list that changes what a detector learns from."""
    command.add_argument(
        "--missed", type=Path,
        help="plates nobody annotated, by the command missed: ignored",
    )


def add_places(command: argparse.ArgumentParser) -> None:
    """The list of what is no plate."""
    command.add_argument(
        "--places", type=Path, metavar="FILE",
        help="what the detector took for plates and is none, but for --missed: a list of the "
        "command missed down to a low score",
    )


def add_its_detector(command: argparse.ArgumentParser) -> None:
    """What a closer look is judged by."""
    command.add_argument("--detector", type=Path, metavar="DIR",
                         help="of a closer look: model folder of the detector it belongs to")


def run_options(options: argparse.Namespace) -> RunOptions:
    """Of what :func:`add_options` parsed."""
    from training.options import RunOptions

    return RunOptions(
        threads=options.threads, workers=options.workers, resume=not options.fresh,
        device=options.device, wandb=options.wandb,
    )
