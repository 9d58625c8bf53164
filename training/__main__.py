"""``python -m training COMMAND``: ``-h`` lists the commands, ``COMMAND -h`` the options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from alpr_edge.errors import AlprEdgeError, ExitCode
from alpr_edge.interrupts import interrupted_by_any
from training import commands as of
from training import data_commands as data
from training.arguments import add_run

AddOptions = Callable[[argparse.ArgumentParser], None]
Execute = Callable[[argparse.Namespace], int | None]
"""Carries out parsed options; the exit code where it did not simply end well."""


def parser() -> argparse.ArgumentParser:
    """The command line; ``options.execute`` carries it out."""
    root = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)

    def add(name: str, what: str, options: AddOptions, execute: Execute) -> None:
        command = commands.add_parser(name, help=what)
        options(command)
        command.set_defaults(execute=execute)

    add("reader", "train the reader; run again to resume", of.add_reader, of.train_reader)
    add("detector", "train the detector; run again to resume", of.add_detector, of.train_detector)
    add("closer", "train the detector's closer look", of.add_closer, of.train_closer)
    add("pretrain", "train the reader's encoder to complete masked plates", add_run, of.pretrain)
    add("finetune", "teach a reader your own plates, from 200 crops", of.add_finetune, of.finetune)
    add("grow", "a reader's weights as those of a deeper variant", of.add_grow, of.grow)
    add("distill", "let a pruned network learn from its parent", of.add_distill, of.distill)
    add("lr-find", "sweep the learning rate: curve and suggestion", of.add_lr_find, of.lr_find)
    add("average", "mix a run's weights with its start's", of.add_average, of.average)
    add("publish", "a run's best weights, fitted on dev, to a file", of.add_publish, of.publish)
    add("pseudo", "texts for plates without one, where readers agree", data.add_pseudo, data.pseudo)
    add("frame-texts", "readings of frames' plates that have no text, to be corrected",
        data.add_frame_texts, data.frame_texts)
    add("suspects", "labels likely wrong: readers read others", data.add_suspects, data.suspects)
    add("missed", "plates nobody annotated in training frames", data.add_missed, data.missed)
    add("close-ups", "what a detector finds, to make a closer look on",
        data.add_close_ups, data.close_ups)
    add("csv", "a list of some cut-outs of one set, to fine-tune on", data.add_csv, data.csv)
    add("ablate", "short runs of the reader, one thing changed each", of.add_ablate, of.ablate)
    add("origin", "time of the origin's own design, beside ours", of.add_origin, of.origin)
    add("check", "what is wrong with the data, and histograms", data.add_check, data.check)
    add("sheet", "training samples in one picture, to look at", data.add_sheet, data.sheet)
    return root


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        with interrupted_by_any():
            code = options.execute(options)
    except AlprEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error.filename or 'output'}: {error.strerror}; free some space or name "
              "another folder, then run the same command again to resume", file=sys.stderr)
        return ExitCode.OUTPUT
    except KeyboardInterrupt:
        print("interrupted; run the same command again, without --fresh, to resume",
              file=sys.stderr)
        return ExitCode.INTERRUPTED
    return ExitCode.OK if code is None else code


if __name__ == "__main__":
    sys.exit(main())
