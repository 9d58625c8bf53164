"""One network alone: what is counted and timed, and what OpenVINO's own benchmark_app says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from alpr_edge.count import Macs, count_macs
from alpr_edge.engine import executed_layers
from alpr_edge.errors import ModelError, UsageError
from alpr_edge.picks import MODELS
from benchmarks import conditions, isa, peak, requests
from benchmarks import model as bench
from benchmarks.__main__ import main
from benchmarks.requests import PrecisionError, Settings

MACS = 4 * 16 * 16 * 27
"""Of :func:`small`, by hand: each of 4 x 16 x 16 outputs sums 27 products."""
AGREE, TRIES = 0.1, 3


def small(*shape: int) -> openvino.Model:
    """A 3 x 3 convolution of 3 to 4 channels on uint8 pictures (N, 16, 16, 3)."""
    image = ops.parameter(openvino.PartialShape(list(shape)), np.uint8, name="image")
    image.output(0).set_names({"image"})
    planes = ops.transpose(ops.convert(image, "f32"), ops.constant(np.array([0, 3, 1, 2])))
    kernel = ops.constant(np.ones((4, 3, 3, 3), np.float32))
    return openvino.Model([ops.convolution(planes, kernel, *[[1, 1]] * 4)], [image], "small")


def written(folder: Path, *shape: int) -> Path:
    path = folder / "small.xml"
    openvino.save_model(small(*shape), path, compress_to_fp16=False)
    return path


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No probe of the instruction set, and a short look at the machine."""
    monkeypatch.setattr(isa, "verify_isa", lambda name: f"{name}, not proven")
    monkeypatch.setattr(conditions, "_WATCH_SECONDS", 0.01)


def test_settings_are_openvinos_properties():
    assert Settings(precision="native").properties() == {"PERFORMANCE_HINT": "LATENCY"}
    assert Settings(hint="throughput", streams=2, threads=3).properties() == {
        "PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 3,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    with pytest.raises(UsageError, match="streams is 0; allowed: 1 or more"):
        Settings(streams=0).properties()


def test_a_free_batch_is_fixed(tmp_path):
    path = written(tmp_path, -1, 16, 16, 3)
    assert list(requests.read_model(path).input(0).shape) == [1, 16, 16, 3]
    assert count_macs(requests.read_model(path, 3)).total == 3 * MACS


def test_a_batch_that_is_fixed_stays(tmp_path):
    path = written(tmp_path, 2, 16, 16, 3)
    assert list(requests.read_model(path).input(0).shape) == [2, 16, 16, 3]
    with pytest.raises(UsageError, match=r"--batch is 3, but .* fixed batch of 2"):
        requests.read_model(path, 3)


def test_other_free_sides_are_refused(tmp_path):
    with pytest.raises(ModelError, match="only its batch, the first side, may be free"):
        requests.read_model(written(tmp_path, 1, -1, 16, 3))


@pytest.mark.parametrize(("name", "reason"), [
    ("none.xml", "none.xml does not exist"), ("text.onnx", "Unable to read the model"),
    ("model.txt", "is no model file; allowed: .xml or .onnx"), ("small.xml", "small.bin does not"),
    ("both.xml", "cannot be loaded by OpenVINO"),
])
def test_what_is_no_model_is_told(tmp_path, hasty, capsys, name, reason):
    written(tmp_path, 1, 16, 16, 3).with_suffix(".bin").unlink()
    for text in ("text.onnx", "model.txt", "both.xml", "both.bin"):
        (tmp_path / text).write_text("hello")
    assert main(["model", str(tmp_path / name)]) == 3
    assert reason in capsys.readouterr().err


def test_wrong_options_are_told(tmp_path, hasty):
    path = str(written(tmp_path, 1, 16, 16, 3))
    assert main(["model", path, "--seconds", "0"]) == 2
    assert main(["model", path, "--batch", "0"]) == 2
    assert main(["model", path, "--threads", "0"]) == 2


def test_16_bits_where_32_were_asked_for_fail(tmp_path, hasty, monkeypatch, capsys):
    monkeypatch.setattr(requests, "computing_in", lambda network, precisions: ["conv"])
    requests.check_precision(None, "bf16")
    requests.check_precision(None, "native")
    with pytest.raises(PrecisionError, match="1 layers run in 16 bits, first conv"):
        requests.check_precision(None, "f32")
    assert main(["model", str(written(tmp_path, 1, 16, 16, 3)), "--seconds", "0.01"]) == 1
    assert "f32 was asked for" in capsys.readouterr().err


def test_the_peak_is_of_a_large_product_in_the_precision_asked_for():
    by_hand = 256 * 256 * 9 * 48 * 48
    for eight_bits, precision in ((False, "f32"), (True, "u8")):
        model = peak.dense(eight_bits)
        assert count_macs(model) == Macs(total=by_hand, of_8_bits=by_hand * eight_bits)
        layers = executed_layers(requests.compiled(model, Settings(threads=1)))
        kinds = [f["runtimePrecision"] for _, f in layers if f["layerType"] == "Convolution"]
        assert kinds == [precision]


def test_the_share_of_the_peak_by_hand():
    """1 + 1 ms at the peaks, 100 inferences a second: 0.2 s of each second."""
    macs = Macs(total=3_000_000, of_8_bits=2_000_000)
    assert bench.peak_share(macs, {"float": 1e9, "8 bits": 2e9}, 100) == pytest.approx(0.2)
    assert bench.peak_share(Macs(total=0, of_8_bits=0), {}, 100) == 0


def test_inputs_are_the_same_every_time(tmp_path):
    network = requests.compiled(requests.read_model(written(tmp_path, 1, 16, 16, 3)), Settings())
    first, second = (requests.random_inputs(network)[0] for _ in range(2))
    assert first.dtype == np.uint8 and first.shape == (1, 16, 16, 3)
    assert np.array_equal(first, second) and first.max() > 200 > 50 > first.min()


def test_model_command_writes_its_figures(tmp_path, hasty, capsys):
    out = tmp_path / "m.json"
    path = str(written(tmp_path, -1, 16, 16, 3))
    options = ["--seconds", "0.2", "--threads", "1", "--batch", "2", "--out", str(out)]
    assert main(["model", path, *options]) == 0
    printed = capsys.readouterr().out
    assert "slowest layers" in printed and "GMAC an inference" in printed
    report = json.loads(out.read_text())
    assert report["kind"] == "model" and report["model"] == "small.xml"
    assert report["settings"] == {
        "hint": "latency", "precision": "f32", "streams": 1, "threads": 1, "requests": 1,
        "inputs": [[2, 16, 16, 3]],
    }
    assert report["gmac"] == pytest.approx(2 * MACS / 1e9) and report["gmac_8_bits"] == 0
    assert set(report["peak_gmac_per_second"]) == {"float"} and 0 < report["peak_share"] < 1
    assert report["latency"]["p50"] == pytest.approx(np.median(report["samples"]), abs=1e-3)
    assert report["throughput_fps"] > 0 and 0 < report["loaded"]["cpu"] <= 1.1
    assert sum(layer["share"] for layer in report["layers"]) == pytest.approx(1, abs=0.01)
    assert any(layer["type"] == "Convolution" for layer in report["layers"])


def test_the_peak_is_of_the_settings_of_the_throughput(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(peak, "macs_a_second", lambda settings, *_: asked.append(settings) or 1e9)
    bench.measure(written(tmp_path, 1, 16, 16, 3), Settings(threads=1), 0.01)
    assert asked == [Settings(hint="throughput", threads=1)] * 2


def test_a_model_without_products_has_no_peak(tiny_models):
    found = bench.measure(tiny_models / "detector" / "model.xml", Settings(threads=1), 0.05)
    assert (found["gmac"], found["peak_gmac_per_second"], found["peak_share"]) == (0, {}, 0)


def benchmark_app_median(model: Path, seconds: int) -> float:
    """Milliseconds, as OpenVINO's own program measures them with the settings of
    :func:`our_median`."""
    program = "from openvino.tools.benchmark.main import main; main()"
    command = [sys.executable, "-c", program, "-m", str(model), "-d", "CPU", "-hint", "none",
               "-api", "sync", "-nstreams", "1", "-nthreads", "1", "-infer_precision", "f32",
               "-t", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Median:\s+([\d.]+) ms", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


def our_median(model: Path, seconds: float) -> float:
    network = requests.compiled(requests.read_model(model), Settings(streams=1, threads=1))
    inputs = requests.random_inputs(network)
    return float(np.median(requests.one_by_one(network, inputs, seconds)))


@pytest.mark.slow
def test_the_median_agrees_with_benchmark_app():
    """In turns, ours and theirs; up to three times, because the machine may be noisy."""
    model = MODELS / "detector" / "model.xml"
    seen = []
    for _ in range(TRIES):
        ours, theirs = zip(
            *((our_median(model, 2), benchmark_app_median(model, 2)) for _ in range(3)), strict=True
        )
        seen.append((float(np.median(ours)), float(np.median(theirs))))
        if abs(seen[-1][0] / seen[-1][1] - 1) <= AGREE:
            return
    pytest.fail(f"medians (ours, theirs) of {TRIES} tries differ by more than 10 %: {seen}")
