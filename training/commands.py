"""The commands of ``python -m training`` that train: for each its options and what it calls.

Libraries are imported by the command that needs them, so that ``-h`` answers at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from alpr_edge.errors import UsageError
from training.arguments import (
    DATA,
    add_corrections,
    add_fast,
    add_its_detector,
    add_loop,
    add_missed,
    add_options,
    add_places,
    add_run,
    add_texts,
    as_asked,
    at_least_one,
    natural,
    positive,
    run_options,
)


def add_reader(command: argparse.ArgumentParser) -> None:
    """Options of ``reader``."""
    add_run(command)
    recipes = command.add_mutually_exclusive_group()
    add_fast(recipes)
    recipes.add_argument(
        "--polish", action="store_true",
        help="with --start: a trained reader goes on at a low rate, with little dropout",
    )
    command.add_argument("--encoder", type=Path, help="weights of a pretrain run")
    command.add_argument("--freeze-encoder", action="store_true", help="only the rest learns")
    add_texts(command)
    add_places(command)
    add_missed(command)


def train_reader(options: argparse.Namespace) -> None:
    """Train the reader."""
    from training.reader.train import edge_recipe, fast_recipe, polish_recipe, run

    if options.polish and not options.start:
        raise UsageError("--polish goes on with a trained reader; add --start WEIGHTS")
    named = fast_recipe if options.fast else polish_recipe if options.polish else edge_recipe
    recipe = named(options.minutes)
    recipe = dataclasses.replace(
        recipe, loop=as_asked(recipe.loop, options), encoder=options.encoder,
        freeze_encoder=options.freeze_encoder, selection=dataclasses.replace(
            recipe.selection, pseudo=options.pseudo, frame_texts=options.frame_texts,
            corrections=options.corrections, leave_out=tuple(options.leave_out),
            missed=options.missed, places=options.places,
        ),
    )
    run(
        options.data, options.run, recipe, variant=options.variant, start=options.start,
        options=run_options(options),
    )


def add_detector(command: argparse.ArgumentParser) -> None:
    """Options of ``detector``."""
    add_run(command)
    add_fast(command)
    command.add_argument(
        "--imagenet", type=Path, help="timm's MobileNetV4 weights for the backbone"
    )
    add_missed(command)


def train_detector(options: argparse.Namespace) -> None:
    """Train the detector."""
    from training.detector.train import FAST_FRAMES, edge_loop, fast_loop, run

    named = fast_loop if options.fast else edge_loop
    loop = as_asked(named(minutes=options.minutes, imagenet=options.imagenet), options)
    run(
        options.data, options.run, loop,
        variant=options.variant, start=options.start, imagenet=options.imagenet,
        limit=FAST_FRAMES if options.fast else None, leave_out=tuple(options.leave_out),
        missed=options.missed, options=run_options(options),
    )


def add_closer(command: argparse.ArgumentParser) -> None:
    """Options of ``closer``."""
    command.add_argument("--data", type=Path, required=True, help="folder with the pictures")
    command.add_argument("--run", type=Path, required=True, help="folder of this run")
    command.add_argument("--start", type=Path, required=True, help="a detector's weights")
    command.add_argument("--detector", type=Path, required=True, metavar="DIR",
                         help="model folder of the detector whose finds are looked at")
    add_loop(command)
    add_places(command)
    add_missed(command)
    add_options(command)


def train_closer(options: argparse.Namespace) -> None:
    """Train the detector's closer look."""
    from training.detector.closer import closer_loop, run

    run(
        options.data, options.run, as_asked(closer_loop(minutes=options.minutes), options),
        detector=options.detector, start=options.start, places=options.places,
        missed=options.missed, options=run_options(options),
    )


def pretrain(options: argparse.Namespace) -> None:
    """Pre-train the reader's encoder."""
    from training.reader.pretrain import pretrain_recipe, run

    recipe = pretrain_recipe(options.minutes, tuple(options.leave_out))
    recipe = dataclasses.replace(recipe, loop=as_asked(recipe.loop, options))
    run(
        options.data, options.run, recipe,
        variant=options.variant, start=options.start, options=run_options(options),
    )


def add_finetune(command: argparse.ArgumentParser) -> None:
    """Options of ``finetune``."""
    command.add_argument(
        "--data", type=Path, required=True, help="CSV image_path,plate_text, or a data folder"
    )
    command.add_argument("--run", type=Path, required=True, help="folder of this run")
    command.add_argument("--start", type=Path, help="weights to begin with (default: the shipped)")
    command.add_argument("--minutes", type=positive, default=5.0, help="length (default: 5)")
    add_options(command)


def finetune(options: argparse.Namespace) -> None:
    """Fine-tune a reader."""
    from training.finetune import SHIPPED, finetune

    print(finetune(
        options.data, options.run, start=options.start or SHIPPED, minutes=options.minutes,
        options=run_options(options),
    ))


def add_grow(command: argparse.ArgumentParser) -> None:
    """Options of ``grow``."""
    command.add_argument("--data", type=Path, required=True, help=DATA)
    command.add_argument("--start", type=Path, required=True, help="a reader's weights")
    command.add_argument("--to", type=Path, required=True, help=".safetensors to write")
    command.add_argument("--variant", default="deep", help="the deeper one (default: deep)")


def grow(options: argparse.Namespace) -> None:
    """Grow a reader."""
    from training.reader.grow import grow

    difference = grow(options.start, options.data, options.to, options.variant)
    print(f"{options.to}: {options.variant}, outputs differ by {difference:.1g} at most")


def add_distill(command: argparse.ArgumentParser) -> None:
    """Options of ``distill``."""
    command.add_argument("--data", type=Path, required=True, help=DATA)
    command.add_argument("--run", type=Path, required=True, help="folder of this run")
    command.add_argument(
        "--start", type=Path, required=True, help="weights of the student, a pruned network"
    )
    command.add_argument(
        "--teacher", type=Path, required=True, help="weights of the same task to learn from"
    )
    command.add_argument("--minutes", type=positive, default=30.0, help="length (default: 30)")
    add_texts(command)
    add_places(command)
    add_missed(command)
    add_options(command)


def distill(options: argparse.Namespace) -> None:
    """Distil."""
    from training.distill import run
    from training.selection import Selection

    print(run(
        options.data, options.run, start=options.start, teacher=options.teacher,
        minutes=options.minutes, options=run_options(options),
        selection=Selection(
            pseudo=options.pseudo, frame_texts=options.frame_texts,
            corrections=options.corrections, missed=options.missed, places=options.places,
        ),
    ))


def add_lr_find(command: argparse.ArgumentParser) -> None:
    """Options of ``lr-find``."""
    command.add_argument("task", choices=("reader", "detector"))
    command.add_argument("--data", type=Path, required=True, help=DATA)
    command.add_argument("--out", type=Path, required=True, help="folder for the curve")
    command.add_argument("--variant", default="edge", help="named size (default: edge)")
    command.add_argument(
        "--steps", type=at_least_one, default=100, help="rates to try (default: 100)"
    )
    command.add_argument("--threads", type=at_least_one, default=2)
    command.add_argument("--workers", type=natural, default=1, help="loader processes")
    command.add_argument("--start", type=Path, help="weights to begin with (.safetensors)")
    command.add_argument("--imagenet", type=Path, help="detector: timm's MobileNetV4 weights")


def lr_find(options: argparse.Namespace) -> None:
    """Sweep the learning rate."""
    from training.lr_find import run

    sweep = run(
        options.task, options.data, options.out, variant=options.variant, steps=options.steps,
        threads=options.threads, workers=options.workers, start=options.start,
        imagenet=options.imagenet,
    )
    print(f"{sweep.suggestion:.2g}")
    if sweep.suggestion < sweep.rates[0]:
        print("the loss hardly fell: look at the curve, and try more --steps", file=sys.stderr)


def add_average(command: argparse.ArgumentParser) -> None:
    """Options of ``average``."""
    command.add_argument("--data", type=Path, required=True, help=DATA)
    command.add_argument("--run", type=Path, required=True, help="folder of the run")
    command.add_argument(
        "--start", type=Path, required=True, help="weights that the run began with"
    )
    command.add_argument(
        "--shares", type=float, nargs="+", default=[0.25, 0.5, 0.75], metavar="SHARE",
        help="of the run's latest weights, each judged on dev (0.25 0.5 0.75)",
    )
    command.add_argument(
        "--take", type=float, metavar="SHARE",
        help="the share to take, where more than dev decides (default: the best on dev)",
    )
    add_its_detector(command)
    add_corrections(command)
    command.add_argument("--threads", type=at_least_one, default=2)


def average(options: argparse.Namespace) -> None:
    """Mix weights."""
    from training.average import average

    made = average(
        options.run, options.start, options.data, options.shares, threads=options.threads,
        corrections=options.corrections, frame_texts=options.frame_texts, take=options.take,
        detector=options.detector,
    )
    if options.take is not None:
        print(f"{options.take:g} of the run is in the place of the run's best")
    else:
        print("better than the run's best, and in its place" if made.replaced
              else "none is better than the run's best, which stays")


def add_publish(command: argparse.ArgumentParser) -> None:
    """Options of ``publish``."""
    command.add_argument("--data", type=Path, required=True, help=DATA)
    command.add_argument("--run", type=Path, required=True, help="folder of the run")
    command.add_argument("--to", type=Path, required=True, help=".safetensors to write")
    add_its_detector(command)
    command.add_argument("--unannotated", type=Path, metavar="FILE",
                         help="of a closer look: plates of dev that nobody annotated (missed)")
    add_corrections(command)


def publish(options: argparse.Namespace) -> None:
    """Publish a run's weights."""
    from training.publish import publish

    print(publish(
        options.run, options.to, options.data, options.detector, options.corrections,
        options.frame_texts, options.unannotated,
    ))


def add_ablate(command: argparse.ArgumentParser) -> None:
    """Options of ``ablate``."""
    command.add_argument("--data", type=Path, required=True, help=DATA)
    command.add_argument("--runs", type=Path, required=True, help="folder of the runs' folders")
    command.add_argument("--out", type=Path, required=True, help="report to write (.json)")
    command.add_argument(
        "--steps", type=at_least_one, help="of each run (default: 10 minutes of one core)"
    )
    command.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    command.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="these variants, and the base"
    )
    command.add_argument("--pseudo", type=Path, help="for the variant with pseudo-labels")
    add_options(command)


def ablate(options: argparse.Namespace) -> None:
    """Ablate the reader's recipe."""
    from training.ablate import STEPS, ablate, table

    print(table(ablate(
        options.data, options.runs, options.out, steps=options.steps or STEPS, seeds=options.seeds,
        only=options.only, pseudo=options.pseudo, options=run_options(options),
    )))


def add_origin(command: argparse.ArgumentParser) -> None:
    """Options of ``origin``."""
    from alpr_edge.isa import ISAS, NATIVE

    command.add_argument("--threads", type=at_least_one, default=2, help="CPU threads (default: 2)")
    command.add_argument("--runs", type=int, default=50, help="counted runs (default: 50)")
    command.add_argument("--isa", default=NATIVE, choices=ISAS, help="instruction set")
    command.add_argument("--out", type=Path, metavar="FILE", help="write the report as JSON")


def origin(options: argparse.Namespace) -> int:
    """Time the origin's own design beside ours."""
    from training.origin import execute

    return execute(options.threads, options.runs, options.isa, options.out)
