"""Variants of checkpoints: the trained weights as PyTorch runs them, and sizes nobody trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from alpr_edge.manifest import Manifest
from optimize.convert import convert
from optimize.export import deployable, descended, export, trained_manifest
from optimize.pictures import Pictures
from optimize.report import TORCH, UNTRAINED
from optimize.retrain import kept
from optimize.steps import StepResult, Tolerances, run_step
from training.checkpoint import save_weights
from training.networks import variant_of


def keep(checkpoint: Path, out: Path, *, size: tuple[int, int]) -> StepResult:
    """Copy the checkpoint to ``out/torch/TASK`` with the manifest that all that is made of it
    descends from; ``size`` is a detector's input.

    Raises:
        ModelError: the checkpoint cannot be read. OutputError: the folder cannot be written.
    """
    weights = deployable(checkpoint)
    trained = descended(trained_manifest(weights, checkpoint, size), weights)

    def make(folder: Path) -> Manifest:
        shutil.copyfile(checkpoint, folder / checkpoint.name)
        return trained

    inputs = {"weights": trained.files, "input": trained.input}
    return run_step("keep", trained.task, out, out / TORCH / trained.task, inputs, make)


def untrained(variant: str, out: Path, pictures: Pictures) -> StepResult:
    """A reader of the named size with random weights as IR: ``out/untrained-VARIANT/fp32/reader``.

    Raises:
        UsageError: there is no such size. OutputError: the folder cannot be written.
        StepFailedError: it could not be converted; see the steps.
    """
    torch.manual_seed(0)
    network = variant_of(variant)

    def make(path: Path) -> None:
        save_weights(
            path, task="reader", config=network.config, state=network.state_dict(),
            notes={"variant": variant, "made_by": UNTRAINED},
        )

    folder = out / f"{UNTRAINED}-{variant}"
    path = kept(folder / "weights" / "reader.safetensors", {"config": network.config}, make)
    exported = export(path, folder, pictures, tolerances=Tolerances())
    return convert(exported.folder, folder, pictures, tolerances=Tolerances())
