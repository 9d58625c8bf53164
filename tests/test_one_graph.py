"""Both networks in one graph: each part beside the runtime's, then the whole on drawn frames."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import openvino
import pytest
from conftest import ROOT
from drawn import build_data, picture

torch = pytest.importorskip("torch", reason="needs the extra 'optimize'")
pytest.importorskip("onnxscript", reason="needs the extra 'optimize'")

from alpr_edge import decode, geometry, inspection, isa, rereading
from alpr_edge import manifest as manifests
from alpr_edge.detector import PlateDetector
from alpr_edge.engine import Engine
from alpr_edge.errors import ModelError
from alpr_edge.manifest import DetectorDecode
from optimize import capped, export, frame_network, one_graph, two_routes
from optimize.__main__ import main, parser
from optimize.frame_network import Find, FrameConfig, Letterbox
from optimize.pictures import calibration_pictures
from optimize.steps import StepFailedError, Tolerances
from optimize.two_routes import Same, check_plates
from training.checkpoint import save_weights
from training.detector.model import Detector, DetectorConfig
from training.reader.model import reader_tiny

FACTS = DetectorDecode(score_threshold=0.3, nms_iou=0.5)
FRAME, SIZE = (96, 160), (64, 96)
QUAD = [[30, 20], [110, 32], [104, 60], [26, 44]]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("frame", "share"),
    [((96, 160), 0.15), ((128, 192), 0), ((129, 193), 0), ((192, 288), 0.3), ((140, 100), 0.3),
     ((33, 200), 0.3), ((64, 96), 0), ((40, 50), 0.15)],
)
def test_letterbox_is_the_runtimes_but_for_a_level_here_and_there(frame, share):
    """Halved and scaled (the runtime rounds in between), unchanged, enlarged (OpenCV: in whole
    numbers)."""
    image = picture(256, 320, 1)[: frame[0], : frame[1]].copy()
    wanted, mapping = geometry.letterbox(image, *SIZE)
    module = Letterbox(frame, SIZE)
    got = module(torch.from_numpy(image)[None])[0].numpy()
    assert module.mapping == mapping
    assert np.abs(got - wanted).max() <= 1 and (got != wanted).mean() <= share


def test_taps_by_hand():
    indices, weights = frame_network.taps(5, 1, 1)  # 5 are 2 pairs, of which the middle is wanted
    assert indices.tolist() == [[0], [1], [2], [3]] and weights.tolist() == [[0.25]] * 4
    indices, weights = frame_network.taps(2, 4, 0)
    np.testing.assert_allclose((weights * np.array([0, 8])[indices]).sum(axis=0), [0, 2, 6, 8])


def test_projection_meets_the_corners_and_opencvs_matrix():
    quad = np.array(QUAD, np.float32)
    u = np.array([0, 1, 1, 0, 0.3], np.float32)
    v = np.array([0, 0, 1, 1, 0.8], np.float32)
    got = frame_network.project(
        torch.from_numpy(quad)[None], *(torch.from_numpy(x)[None, None] for x in (u, v))
    )[0, 0].numpy()
    np.testing.assert_allclose(got[:4], quad, atol=1e-4)
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    matrix = geometry.perspective(square + 0.5, quad + 0.5)  # it takes pixel centres off
    x, y, z = matrix @ [0.3, 0.8, 1]
    np.testing.assert_allclose(got[4], [x / z, y / z], atol=1e-3)


@pytest.mark.parametrize(
    ("scale", "shift"), [(0.8, 0), (3, 0), (5, -60)], ids=["once", "twice", "over the edge"]
)
def test_rectify_is_the_runtimes_within_a_level(scale, shift):
    image = picture(320, 560, 2)
    quads = np.array([QUAD, np.roll(QUAD, 2, axis=0)], np.float32) * scale + shift
    got = frame_network.rectify(torch.from_numpy(image)[None], torch.from_numpy(quads)).numpy()
    assert got.shape == (2, 48, 192, 3)
    for plate, quad in zip(got, quads, strict=True):
        difference = np.abs(plate - geometry.rectify(image, quad))
        assert difference.max() < 1.1 and difference.mean() < 0.3  # the runtime rounds


def test_a_degenerate_quad_gives_numbers():
    image = torch.from_numpy(picture(64, 96, 3))[None]
    assert frame_network.rectify(image, torch.zeros((1, 4, 2))).isfinite().all()


def run_openvino(module: torch.nn.Module, path: Path, *inputs: torch.Tensor) -> np.ndarray:
    """The one output of a module, by the way of ONNX, as the command goes."""
    torch.onnx.export(module.eval(), inputs, str(path), dynamo=True, external_data=False,
                      verbose=False)
    compiled = openvino.Core().compile_model(
        openvino.convert_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return compiled([x.numpy() for x in inputs])[0]


class Rectify(torch.nn.Module):
    def forward(self, frame, quads):
        return frame_network.rectify(frame, quads)


def test_openvino_rectifies_several_plates_as_torch_does(tmp_path):
    """Once it divided the sides of the 1st and 3rd plate all by the width, of the others all by the
    height, so that the 1st was sampled too coarsely and the 2nd too finely."""
    frame = torch.from_numpy(picture(320, 560, 2))[None]
    quads = torch.tensor(QUAD)[None] * torch.tensor([3.0, 1.2, 4.4, 0.8])[:, None, None]
    got = run_openvino(Rectify(), tmp_path / "model.onnx", frame, quads)
    np.testing.assert_allclose(got, frame_network.rectify(frame, quads).numpy(), atol=0.05)


class SidesOfPlates(torch.nn.Module):
    """How the plates' sides were taken before: divided after the sum."""

    def forward(self, edges):
        return edges.square().sum(dim=2) / torch.tensor([192.0, 48.0, 192.0, 48.0])


@pytest.mark.xfail(reason="OpenVINO 2026.4 divides along the wrong axis", strict=True)
def test_openvino_divides_a_sum_by_a_vector(tmp_path):
    """Where this begins to pass, `frame_network.samples` may divide as it likes."""
    edges = torch.arange(24.0).reshape(3, 4, 2)
    got = run_openvino(SidesOfPlates(), tmp_path / "model.onnx", edges)
    np.testing.assert_allclose(got, SidesOfPlates()(edges).numpy(), rtol=1e-4)


def random_outputs(seed: int, count: int = 120) -> tuple[np.ndarray, ...]:
    """A detector's, best first: boxes of 1 to 8 strides, half of their scores 0."""
    rng = np.random.default_rng(seed)
    points, strides = (x[:count] for x in decode.grid(*SIZE))
    scores = rng.random(count, np.float32) * (rng.random(count) < 0.5)
    distances = rng.uniform(0.5, 4, (count, 4)).astype(np.float32)
    offsets = rng.normal(0, 2, (count, 8)).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    boxes = decode.decode_boxes(points, strides, distances)
    corners = decode.decode_corners(points, strides, offsets)
    return scores[order], boxes[order], corners[order]


def find_plates(plates: int) -> Find:
    config = FrameConfig(frame=FRAME, size=SIZE, plates=plates)
    return Find(config, FACTS, Letterbox(FRAME, SIZE).mapping)


@pytest.mark.parametrize("seed", range(4))
def test_find_is_select_and_the_way_back(seed):
    outputs = random_outputs(seed)
    _, corners, scores = decode.select(*outputs, min_score=0.3, iou=0.5)
    quads, best = (x.numpy() for x in find_plates(5)(*(torch.from_numpy(x) for x in outputs)))
    np.testing.assert_allclose(best, scores[:5], rtol=1e-6)
    mapping = Letterbox(FRAME, SIZE).mapping
    np.testing.assert_allclose(quads, mapping.inverse(corners[:5]), atol=1e-3)


def test_empty_places_have_score_0_and_the_frames_outline():
    scores, boxes, corners = random_outputs(0)
    scores[:] = 0.29
    scores[0] = 0.9  # a box of the grey margin alone: the frame ends at row 58 of 64
    boxes[0] = [40, 60, 60, 63]
    quads, best = find_plates(3)(*(torch.from_numpy(x) for x in (scores, boxes, corners)))
    assert best.tolist() == [0, 0, 0]
    assert quads[2].tolist() == [[0, 0], [160, 0], [160, 96], [0, 96]]


class FewLayers(Detector):
    """A detector without a backbone: exported in a second. It sees plates of 4 x 2 strides, here
    and there, none as surely as another one: on one colour engines would differ in the order."""

    def __init__(self) -> None:
        super().__init__(DetectorConfig(bins=3))
        for part in ("backbone", "laterals", "neck", "heads"):
            delattr(self, part)
        self.cells = torch.nn.Conv2d(3, 1 + 4 * 3 + 8, 1)
        corners = [-2, -1, 2, -1, 2, 1, -2, 1.0]
        with torch.no_grad():
            self.cells.weight[0] *= 20
            self.cells.weight[1:] *= 0.2
            self.cells.bias[:] = torch.tensor([0, *[-9, -9, 9, -9, 9, -9] * 2, *corners])

    def maps(self, images):
        x = images.permute(0, 3, 1, 2).float() / 255 - 0.5
        x = x + torch.linspace(0, 0.2, x[0, 0].numel()).reshape(x.shape[2:])
        return tuple(torch.nn.functional.avg_pool2d(x, stride) for stride in decode.STRIDES)

    def answer(self, maps):
        return torch.cat([self.cells(m).flatten(2) for m in maps], dim=2).transpose(1, 2)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Random weights; what the reader answers depends on the picture more than on the place."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(3)
    paths = []
    reader = reader_tiny()
    with torch.no_grad():
        reader.encoder.embed.layers[-1].weight *= 8
    for name, network in (("detector", FewLayers()), ("reader", reader)):
        paths.append(folder / f"{name}.safetensors")
        save_weights(
            paths[-1], task=name, config=network.config, state=network.state_dict(),
            notes={"variant": "tiny", "temperature": 1.5},
        )
    return paths


@pytest.fixture(scope="module")
def command(checkpoints, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one-graph")
    data = build_data(folder / "data")
    return ["one-graph", *map(str, checkpoints), "--data", str(data), "--out", str(folder / "out"),
            "--frame", "96x160", "--size", "64x96", "--plates", "3", "--runs", "2",
            "--threads", "1"]


def build(weights):
    network = FewLayers() if weights.task == "detector" else reader_tiny()
    network.load_state_dict(weights.state)
    return network.eval()


@pytest.fixture(scope="module")
def out(command):
    with pytest.MonkeyPatch.context() as patch:
        for module in (export, one_graph):
            patch.setattr(module, "build", build)
        assert main(command) == 0
    return parser().parse_args(command).out


@pytest.fixture(scope="module")
def folder(out):
    return out / "one-graph" / "pipeline"


def test_the_graph_finds_and_reads_what_the_two_stages_do(out, folder):
    frame = picture(*FRAME, 9)
    made = manifests.load(folder)
    wanted = two_routes.looking_once(out / "fp32", threads=1).predict(frame)[:3]
    got = two_routes.plates_of(Engine(folder, threads=1).run(frame[None]), made)
    assert [reading.text for _, reading in got] == [plate.text for plate in wanted]
    assert len(got) == 3 and any(plate.text for plate in wanted)
    for (detection, reading), plate in zip(got, wanted, strict=True):
        np.testing.assert_allclose(detection.corners, plate.corners, atol=0.1)
        assert detection.confidence == pytest.approx(plate.detection_confidence, abs=1e-3)
        assert reading.confidence == pytest.approx(plate.confidence, rel=0.05)
        assert reading.rows == plate.rows


def test_the_two_stages_look_once_as_the_graph_does(out, folder, monkeypatch):
    def never(*_, **__):
        raise AssertionError("looked again")

    works = []
    monkeypatch.setattr(two_routes, "take_turns", lambda both, *_: works.extend(both) or (0, 0))
    monkeypatch.setattr(PlateDetector, "look_turned", never)
    monkeypatch.setattr(rereading, "views", never)
    frames = calibration_pictures(out.parent / "data", crops=False).held_out
    two_routes.time_both(folder, out / "fp32", frames, threads=1, runs=1)
    assert works[1](0)  # plates that it would read again
    alpr = two_routes.looking_once(out / "fp32", threads=1)
    alpr.detector.sure = alpr.detector.min_score = 1.0  # a picture without any
    assert alpr.predict(picture(*FRAME, 9)) == []


def test_the_manifest_holds_both_networks(folder, checkpoints):
    made = manifests.load(folder)
    assert (made.task, made.step, made.input.shape) == ("pipeline", "one-graph", (1, 96, 160, 3))
    assert [o.axes for o in made.outputs][:3] == [("3", "4", "2"), ("3",), ("3", "10", "75")]
    assert set(made.files) == {"model.onnx", "model.xml", "model.bin"}
    stages = made.pipeline_decode
    assert stages.reader.reader_decode.temperature == 1.5
    assert set(stages.detector.files) == {checkpoints[0].name}
    assert made.parity["found"] >= 0.95 * made.parity["plates"] > 0
    assert {made.parity[f"{route} {output.name}"] < 1e-3
            for route in ("torch", "openvino") for output in made.outputs} == {True}
    text = inspection.describe(made)
    assert "temperature = 1.5" in text and "2. reader-tiny" in text


def test_the_runtimes_detector_refuses_a_pipeline(folder):
    with pytest.raises(ModelError, match="a detector is needed"):
        PlateDetector(folder)


def test_a_frame_without_size_is_refused(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["one-graph", "a", "b", "--data", "d", "--out", "o", "--frame", "0x9"])
    assert "'0x9'; allowed: HEIGHTxWIDTH" in capsys.readouterr().err


def test_the_documents_example_runs(folder, tmp_path, monkeypatch, capsys):
    """The Python lines of docs/optimize.md, with our folder and a picture of the frame's size."""
    import cv2

    document = (ROOT / "docs" / "optimize.md").read_text("utf-8")
    code = re.search(r"```python\n(.*?)```", document.split("## One graph")[1], re.DOTALL)[1]
    assert 0 < len(code.splitlines()) <= 15 and '"INFERENCE_PRECISION_HINT": "f32"' in code
    (tmp_path / "OUT" / "one-graph").mkdir(parents=True)
    (tmp_path / "OUT" / "one-graph" / "pipeline").symlink_to(folder)
    cv2.imwrite(str(tmp_path / "frame.png"), picture(*FRAME, 9))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/optimize.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_second_run_keeps_the_graph_and_times_it_anew(command, folder, capsys):
    written, timed = (folder / "model.xml").stat().st_mtime_ns, manifests.load(folder).metrics
    assert main(command) == 0
    assert (folder / "model.xml").stat().st_mtime_ns == written
    again = manifests.load(folder).metrics
    assert [m.what for m in again] == [m.what for m in timed] == [
        "p50 ms", "p90 ms", "p50 ms of two stages", "p90 ms of two stages", "load average before",
    ]
    assert {m.isa for m in again} == {"zen2"} and again != timed
    assert re.search(r"zen2: one graph p50 [\d.]+ ms.*two stages p50", capsys.readouterr().out)


def moved(model: openvino.Model, name: str, by: float) -> openvino.Model:
    """``model`` with ``by`` added to one output."""
    result = model.output(name).get_node()
    source = result.input_value(0)
    source.set_names(set())
    sum_ = openvino.opset13.add(source, np.float32(by))
    sum_.output(0).set_names({name})
    result.input(0).replace_source_output(sum_.output(0))
    return model


@pytest.mark.parametrize(("name", "by"), [("quads", 0.2), ("logits", 0.1)])
def test_an_ir_that_strays_from_its_onnx_fails(
    command, out, folder, tmp_path, monkeypatch, capsys, name, by
):
    copy, save_ir = tmp_path / "out", one_graph.save_ir
    shutil.copytree(out, copy)
    monkeypatch.setattr(one_graph, "build", build)
    monkeypatch.setattr(
        one_graph, "write_onnx", lambda *given: shutil.copyfile(folder / "model.onnx", given[-1])
    )
    monkeypatch.setattr(
        one_graph, "save_ir", lambda model, to: save_ir(moved(model, name, by), to)
    )
    assert main([*command, "--out", str(copy), "--min-agreement", "0.9"]) == 1
    assert f"openvino beside onnxruntime: output {name!r} differs" in capsys.readouterr().err
    assert not (copy / "one-graph" / "pipeline").exists()


def test_plates_cut_out_otherwise_fail(out, folder, monkeypatch):
    """As seen by the two stages the graph rectifies a negative."""
    rectify = geometry.rectify
    monkeypatch.setattr(geometry, "rectify", lambda image, corners: 255 - rectify(image, corners))
    frames = calibration_pictures(out.parent / "data", crops=False).held_out
    alpr = two_routes.looking_once(out / "fp32", threads=1)
    same = two_routes.compare_plates(Engine(folder, threads=1), alpr, frames)
    assert same.found == same.plates > 0
    with pytest.raises(StepFailedError, match="texts equal"):
        check_plates("one-graph", same, Tolerances())


def test_a_target_this_cpu_lacks_is_refused_first(command, capsys, monkeypatch):
    monkeypatch.setattr(isa, "missing_flags", lambda target: ["amx_int8"])
    monkeypatch.setattr(capped, "verified", capped.verified.__wrapped__)
    assert main([*command, "--target", "n100"]) == 2
    assert "cannot execute" in capsys.readouterr().err


def test_swapped_checkpoints_are_refused(command, checkpoints, capsys):
    swapped = [command[0], *map(str, reversed(checkpoints)), *command[3:]]
    assert main(swapped) == 3
    assert "allowed: a detector, then a reader" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"found": 18}, "18 of 20 plates found"), ({"texts": 10}, "10 of 20 texts equal"),
        ({"plates": 0, "found": 0}, "0 of 0 plates found"), ({"sure": 0}, "20 of 0 texts equal"),
        ({"corners": 0.03}, "corners moved by 3.0%"),
    ],
)
def test_too_great_a_difference_fails(changes, message):
    good = {
        "pictures": 9, "plates": 20, "found": 20, "extra": 0, "sure": 20, "texts": 20,
        "corners": 0.001, "pixels": 0.2,
    }
    check_plates("one-graph", Same(**good), Tolerances())
    with pytest.raises(StepFailedError, match=message):
        check_plates("one-graph", Same(**(good | changes)), Tolerances())
