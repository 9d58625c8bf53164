"""Tiny model folders that obey the graph contract, made with OpenVINO alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as ops

from alpr_edge import alphabet, manifest

HEIGHT, WIDTH = 64, 96
TEXT = "皖A12345"
BOX = (16.0, 24.0, 64.0, 40.0)
"""Of the tiny detector's plate, in its frame; the corners are 1 pixel inside."""


def _image(*shape: int):
    image = ops.parameter(list(shape), np.uint8, name="image")
    image.output(0).set_names({"image"})
    mean = ops.reduce_mean(ops.convert(image, "f32"), ops.constant(np.array([1, 2, 3])), False)
    return image, ops.multiply(mean, ops.constant(np.float32(0)))  # (N,), always 0


def _answer(zeros, values: np.ndarray, name: str):
    """``values`` (1, ...) for each picture of the batch."""
    shape = ops.constant(np.array([-1] + [1] * (values.ndim - 1)))
    node = ops.add(ops.reshape(zeros, shape, False), ops.constant(values.astype(np.float32)))
    node.output(0).set_names({name})
    return node


def base_manifest(task: str, folder: Path, **changes) -> manifest.Manifest:
    detector = task == "detector"
    facts = {
        "name": f"tiny-{task}",
        "task": task,
        "version": "0.1.0",
        "licence": "Apache-2.0",
        "created": manifest.now(),
        "step": "convert",
        "precision": "FP32",
        "input": manifest.InputSpec(
            shape=(1, HEIGHT, WIDTH, 3) if detector else (-1, 48, 192, 3),
            resize="letterbox" if detector else "rectify",
        ),
        "outputs": tuple(
            manifest.OutputSpec(name=name, axes=("N", "..."))
            for name in (
                ("scores", "boxes", "corners", "cells") if detector else ("logits", "ctc", "rows")
            )
        ),
        "decode": manifest.DetectorDecode(
            score_threshold=0.3, nms_iou=0.5
        ) if detector else manifest.ReaderDecode(
            alphabet=alphabet.CHARACTERS, slots=alphabet.SLOTS, temperature=1.0
        ),
        "files": manifest.hash_files(folder),
    }
    return manifest.Manifest(**(facts | changes))


def _save(model: openvino.Model, folder: Path, task: str) -> Path:
    folder.mkdir(parents=True)
    openvino.save_model(model, folder / manifest.MODEL_XML, compress_to_fp16=False)
    manifest.save(base_manifest(task, folder), folder)
    return folder


def build_detector(folder: Path, score: float = 0.9) -> Path:
    """A detector that finds one plate at BOX in every picture, thrice (two to be suppressed)."""
    inner = np.array([[17, 25], [63, 25], [63, 39], [17, 39]], np.float32)
    scores = np.array([[score, score - 0.1, score - 0.2, 0.0]])
    image, zeros = _image(1, HEIGHT, WIDTH, 3)
    outputs = [
        _answer(zeros, scores, "scores"),
        _answer(zeros, np.tile(np.array(BOX), (1, 4, 1)), "boxes"),
        _answer(zeros, np.tile(inner, (1, 4, 1, 1)), "corners"),
        _answer(zeros, np.array([[40, 41, 100, 7]]), "cells"),
    ]
    return _save(openvino.Model(outputs, [image], "tiny_detector"), folder, "detector")


def build_reader(folder: Path, text: str = TEXT, rows: int = 1) -> Path:
    """A reader that reads ``text`` on every plate."""
    logits = np.zeros((1, alphabet.SLOTS, alphabet.CLASSES))
    logits[0, np.arange(alphabet.SLOTS), alphabet.encode(text)] = 12
    tokens = np.zeros((1, 2 * alphabet.SLOTS, alphabet.CLASSES))  # a blank after each character
    tokens[0, 1::2, alphabet.PAD] = tokens[0, np.arange(0, 20, 2), alphabet.encode(text)] = 12
    image, zeros = _image(-1, 48, 192, 3)
    outputs = [
        _answer(zeros, logits, "logits"),
        _answer(zeros, tokens, "ctc"),
        _answer(zeros, np.eye(2)[None, rows - 1], "rows"),
    ]
    return _save(openvino.Model(outputs, [image], "tiny_reader"), folder, "reader")
