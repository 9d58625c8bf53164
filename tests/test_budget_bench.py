"""The budget's verdict on a profile: by hand, for files that are none, and as a command."""

from __future__ import annotations

import dataclasses
import json

import pytest
from drawn import build_data

from alpr_edge.errors import UsageError
from alpr_edge.stages import Stage
from benchmarks import budget
from benchmarks.__main__ import main
from benchmarks.budget import PROFILES, Profile, judge, load_profile, text
from benchmarks.cases import Case

PROFILE = Profile(
    name="Small box", cpu="no such cpu", isa="zen2", threads=2, detection_ms=10.0, reading_ms=5.0,
    plates=(0, 2),
)


def stamps(detect: float, read: float) -> dict[Stage, float]:
    """Half of each part is its network; load does not count."""
    parts = (99.0, detect / 4, detect / 2, detect / 8, detect / 8, read / 4, read / 2, read / 4)
    return dict(zip(Stage, (*parts, sum(parts)), strict=True))


def test_the_verdict_by_hand():
    """Eleven runs of 1 to 11: the 90th percentile is 10."""
    taken = {
        Case("1080p", 0): [stamps(float(n), 0.0) for n in range(1, 12)],
        Case("1080p", 2): [stamps(11.0, float(n)) for n in range(1, 12)],
    }
    empty, two = judge(PROFILE, taken)
    assert (empty.p90_ms, empty.allowed_ms, empty.met) == (10.0, 10.0, True)
    assert (two.p90_ms, two.detection_p90_ms, two.reading_p90_ms) == (21.0, 11.0, 10.0)
    assert (two.allowed_ms, two.met) == (20.0, False)
    told = text(PROFILE, [empty, two])
    assert "budget MISSED for Small box" in told and "its kernels, not its clock" in told
    assert "2 plates: 21.0 ms of 20 ms" in told and "MISSED" in told.splitlines()[2]
    assert "budget MET" in text(PROFILE, [empty])


def test_on_its_own_cpu_a_profile_says_so(monkeypatch):
    monkeypatch.setattr(budget, "cpu_name", lambda: "A No Such CPU @ 2 GHz")
    assert "(this is it)" in text(PROFILE, [])


def test_the_shipped_profiles_are_read():
    names = {path.stem for path in PROFILES.glob("*.toml")}
    assert names == {"ryzen-5700u", "n100"}
    profiles = {name: load_profile(name) for name in names}
    assert profiles["ryzen-5700u"].isa == "zen2" and profiles["n100"].isa == "n100"
    assert all((p.detection_ms, p.reading_ms) == (100.0, 50.0) for p in profiles.values())


def written(path, **changes):
    facts = dataclasses.asdict(PROFILE) | changes
    path.write_text("".join(
        f"{name} = {json.dumps(list(v) if isinstance(v, tuple) else v)}\n"
        for name, v in facts.items()
    ))
    return path


@pytest.mark.parametrize(("changes", "told"), [
    ({"isa": "z80"}, "isa is 'z80'"), ({"plates": [3]}, r"plates are \[3\]"),
    ({"threads": 0}, "threads is 0"), ({"colour": "red"}, "colour"), ({"reading_ms": "x"}, "x"),
])
def test_a_file_that_is_no_profile_says_why(tmp_path, changes, told):
    with pytest.raises(UsageError, match=told):
        load_profile(str(written(tmp_path / "a.toml", **changes)))


def test_an_unknown_profile_names_the_known(tmp_path):
    with pytest.raises(UsageError, match="allowed: n100, ryzen-5700u"):
        load_profile("486dx")
    (tmp_path / "b.toml").write_text("name = ")
    with pytest.raises(UsageError, match="is no profile"):
        load_profile(str(tmp_path / "b.toml"))


@pytest.mark.parametrize(("allowed", "code"), [(1e6, 0), (1e-6, 1)])
def test_the_command_judges_and_tells(tmp_path, tiny_models, capsys, allowed, code):
    data = build_data(tmp_path / "data", 2, ("val",))
    file = written(tmp_path / "p.toml", isa="native", threads=1, detection_ms=allowed,
                   reading_ms=allowed, plates=[0, 1])
    out = tmp_path / "b.json"
    arguments = ["--profile", str(file), "--models", str(tiny_models), "--data", str(data)]
    assert main(["budget", *arguments, "--runs", "3", "--out", str(out)]) == code
    told = capsys.readouterr().out
    assert ("MET" if code == 0 else "MISSED") in told
    report = json.loads(out.read_text())
    assert report["met"] is (code == 0) and [c["plates"] for c in report["cases"]] == [0, 1]
    assert report["profile"]["name"] == "Small box" and report["this_machine"] is False
