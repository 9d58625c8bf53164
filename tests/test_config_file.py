"""The configuration file: every mistake with its line, the environment, secrets, the template."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import typing
from pathlib import Path

import pytest

from alpr_edge import cli
from alpr_edge.cpu import MOST_THREADS
from alpr_edge.errors import UsageError
from alpr_edge.watch import config_file, config_ranges, config_rules
from alpr_edge.watch.config import CameraConfig, Config, HardwareDecoding, KnownPlate, StoreConfig
from alpr_edge.watch.config_files import tables
from alpr_edge.watch.config_values import plain
from alpr_edge.watch.hashing import PlateHasher
from alpr_edge.watch.types import Access

GATE = '[[cameras]]\nname = "gate"\nsource = "0"\n'
STORE = '[store]\npath = "events.sqlite"\n'


@pytest.fixture
def told(tmp_path):
    """The problems of a text, without the folder."""
    def tell(text: str, **environment: str) -> list[str]:
        file = tmp_path / "site.toml"
        file.write_text(text, "utf-8")
        return [str(problem).replace(f"{tmp_path}/", "") for problem in
                config_file.check(file, environment)]
    return tell


@pytest.fixture
def loaded(tmp_path):
    def load(text: str, **environment: str) -> Config:
        (tmp_path / "site.toml").write_text(text, "utf-8")
        return config_file.load(tmp_path / "site.toml", environment)
    return load


def test_a_whole_file(loaded, tmp_path):
    config = loaded(
        '[[cameras]]\nname = "gate"\nsource = "rtsp://10.0.0.2/a"\ntiles = [2, 1]\n'
        'hwaccel = "none"\nmax_fps = 5\nregion = [[[0, 0], [1, 0.5], [0, 1]]]\n'
        '[[cameras]]\nname = "yard"\nsource = "clips/yard.mp4"\n'
        '[[plates.known]]\ntext = "B AB 1"\naccess = "deny"\n'
        '[model]\nprecision = "int8"\n[store]\npath = "/srv/e.sqlite"\n[files]\njsonl = "-"\n'
    )
    assert config == Config(
        cameras=(
            CameraConfig(name="gate", source="rtsp://10.0.0.2/a", tiles=(2, 1), max_fps=5.0,
                         hwaccel=HardwareDecoding.NONE,
                         region=(((0.0, 0.0), (1.0, 0.5), (0.0, 1.0)),)),
            CameraConfig(name="yard", source=str(tmp_path / "clips/yard.mp4")),
        ),
        plates=dataclasses.replace(
            Config().plates, known=(KnownPlate(text="B AB 1", access=Access.DENY),)
        ),
        model=dataclasses.replace(Config().model, precision="int8"),
        store=StoreConfig(path=Path("/srv/e.sqlite")),
        files=dataclasses.replace(Config().files, jsonl=Path("-")),
    )


def test_all_mistakes_are_told_at_once_in_order(told):
    assert told(
        '[[cameras]]\nname = "gate"\nsorce = "0"\nevery = "two"\n\n'
        '[[cameras]]\nname = "gate"\nsource = "1"\nregion = [\n  [[0, 0], [1, 0]],\n]\n'
        "[stroe]\n"
    ) == [
        "site.toml:1: cameras[0].source: is missing; needed: a string",
        "site.toml:3: cameras[0].sorce: unknown key; did you mean 'source'?",
        "site.toml:4: cameras[0].every: got 'two'; allowed: a whole number",
        "site.toml:7: cameras[1].name: 'gate' is also the name of cameras[0]; give each a name of "
        "its own",
        "site.toml:10: cameras[1].region[0]: got 2 points; allowed: 3 or more",
        "site.toml:12: stroe: unknown key; did you mean 'store'?",
    ]


@pytest.mark.parametrize(("text", "message"), [
    ("a = 1\nb = ", "site.toml:2: no TOML: Invalid value"),
    ('a = "x', 'site.toml:1: no TOML: Unterminated string'),
    ("[store]\n[store]\n", "site.toml:2: no TOML: Cannot declare ('store',) twice"),
    ("x = 1", "site.toml:1: x: unknown key; known are cameras, model, tracking"),
    ("store = 3", "site.toml:1: store: got 3; allowed: a table [store]"),
    ("[[store]]", "site.toml:1: store: got an array of tables; allowed: a table [store]"),
    ('[cameras]\nname = "a"', "site.toml:1: cameras: got a table; allowed: tables [[cameras]]"),
    ("cameras = [1]", "site.toml:1: cameras[0]: got 1; allowed: a table [cameras[0]]"),
    (GATE + "every = true", "every: got True; allowed: a whole number"),
    (GATE + "every = 0", "site.toml:4: cameras[0].every: got 0; allowed: 1 or more"),
    (GATE + "max_fps = nan", "max_fps: got nan; allowed: more than 0"),
    (GATE + "max_fps = inf", "max_fps: got inf; allowed: more than 0"),
    (GATE + "tiles = [2]", "tiles: got [2]; allowed: an array [a whole number, a whole number]"),
    (GATE + "tiles = [2, 9]", "tiles: got (2, 9); allowed: 1..8"),
    (GATE + 'hwaccel = "cuda"', "hwaccel: got 'cuda'; allowed: one of 'auto', 'none', 'vaapi'"),
    (GATE + 'detect_source = "1"\ntiles = [2, 1]', "cameras[0].tiles: got [2, 1] beside"),
    (GATE + "region = [\n[[0, 0], [1, 0],\n[2, 0]]]", "site.toml:5: cameras[0].region[0]: got the"),
    (GATE + 'password_file = "p"', "cameras[0].password_file: password_file without username"),
    (GATE.replace('"0"', '""'), "source: got nothing; allowed: a video file, a URL"),
    (GATE.replace('"0"', '"ftp://h/x"'), "source: got a URL of another kind; allowed: rtsp://..."),
    (GATE.replace('"0"', '"rtsp://[::1/x"'), "source: got a URL of another kind"),
    (GATE.replace('"0"', '"rtsp://h:99999/x"'), "source: got a URL of another kind"),
    (GATE.replace("gate", "a/b"), "name: got 'a/b'; allowed: 1 to 64 of the letters"),
    ("[model]\nthreads = 99999999", f"model.threads: got 99999999; allowed: 1..{MOST_THREADS}"),
    ("[model]\nworkers = 1000", f"model.workers: got 1000; allowed: 1..{MOST_THREADS}"),
    ('[mqtt]\nhost = "h"', "site.toml:1: mqtt: needs a store"),
    ('[[webhooks]]\nname = "w"\nurl = "http://h/"', "site.toml:1: webhooks[0]: needs a store"),
    (STORE + '[[webhooks]]\nname = "w"\nurl = "h/x"', "url: got 'h/x'; allowed: http://..."),
    (STORE + '[[webhooks]]\nname = "w"\nurl = "https://me:pw@h/x"', "got a URL with a user's name"),
    (STORE + '[[webhooks]]\nname = "w"\nurl = "http://a..lan/"', "url: got the host 'a..lan'; all"),
    (STORE + f'[mqtt]\nhost = "{"a" * 64}.lan"', "mqtt.host: got the host 'aaaa"),
    ('[serve]\nhost = "a..lan"', "serve.host: got the host 'a..lan'; allowed: an address, or"),
    (STORE + '[mqtt]\nhost = ""', "mqtt.host: got nothing; allowed: the broker's name or address"),
    (STORE + '[mqtt]\nhost = "h"\nport = 0', "mqtt.port: got 0; allowed: 1..65535"),
    (STORE + '[mqtt]\nhost = "h"\ntopic = "a/+"', "mqtt.topic: got 'a/+'; allowed: a topic"),
    (STORE + '[mqtt]\nhost = "h"\ntopic = "a/"', "mqtt.topic: got 'a/'; allowed"),
    (STORE + '[mqtt]\nhost = "h"\nca_file = "x"', "mqtt.ca_file: ca_file without tls = true"),
    (STORE + '[mqtt]\nhost = "h"\ntls = true\nca_file = "x"',
     "site.toml:6: mqtt.ca_file: got 'x': no such file or folder; name what is there"),
    (STORE + f'[mqtt]\nhost = "h"\ntls = true\nca_file = "{"x" * 300}"', "': File name too long;"),
    ('[model]\nmodels = "x"', "site.toml:2: model.models: got 'x': no such file or folder"),
    ('[serve]\nhost = "0.0.0.0"', "serve.host: got '0.0.0.0' without token_file"),
    ('[serve]\nhost = "::"', "serve.host: got '::' without token_file"),
    ('[serve]\ntoken_file = "no"', "serve.token_file: secret no: No such file or directory; write"),
    ('[files]\ncsv = "-"\njsonl = "-"', "site.toml:2: files.csv: got '-', which jsonl has too"),
    ('[plates]\nknown_file = "k.csv"', "plates.known_file: k.csv cannot be read as a list of"),
    ('[plates]\ngrammars = [\n"xx"]', "site.toml:3: plates.grammars[0]: got 'xx'; allowed: "),
    ('[[plates.known]]\ntext = "A 1"\n[[plates.known]]\ntext = "a-1"', "known[1].text: 'a-1' is"),
    ('[[plates.known]]\ntext = "Ж1"', "site.toml:2: plates.known[0].text: got 'Ж1'; allowed: "),
    ('[plates]\nfuzzy = 1', "plates.fuzzy: got 1; allowed: true or false"),
    ("[serve]\ntimeout = 1e10",
     "site.toml:2: serve.timeout: got 10000000000.0; allowed: more than 0, at most 3600"),
    ('[privacy]\nhash_key_file = ""\nredact = ""', "site.toml:3: privacy.redact: got ''; allowed"),
])
def test_what_is_wrong(told, text, message):
    assert any(message in line for line in told(text))


def test_no_password_is_repeated(told):
    problem, = told(GATE.replace('"0"', '"rtsp://me:hunter2@10.0.0.2/a"'))
    assert "URL with a password in it" in problem and "hunter2" not in problem


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.0.1"])
def test_loopback_needs_no_token(told, host):
    assert told(f'[serve]\nhost = "{host}"') == []


@pytest.mark.parametrize(("text", "message"), [
    ("[store]\nkeep_events_days = 3", "warning: store.keep_pictures_days: got 30"),
    ('[privacy]\nhash_key_file = "key"', "warning: privacy.hash_key_file: texts are hashed, but"),
    ("[privacy]\nredact = true", "warning: privacy.redact: scenes and videos are blurred, but"),
    (STORE + '[[webhooks]]\nname = "w"\nurl = "https://h/"\ntoken_file = "short"',
     "warning: webhooks[0].token_file: short has 5 characters; at least 16"),
    ("[model]\nworkers = 128\nthreads = 2", "warning: model.workers: 128 of 2 threads are 256, "),
    ('[serve]\ntoken_file = "open"', "warning: serve.token_file: other users may read open; run"),
    (STORE + '[mqtt]\nhost = "broker"\nusername = "u"\npassword_file = "short"', "unencrypted"),
    (STORE + '[[webhooks]]\nname = "w"\nurl = "http://h/"\ntoken_file = "key"', "unencrypted"),
])
def test_warnings_keep_nothing_from_running(told, loaded, tmp_path, caplog, text, message):
    for name, mode, content in (("key", 0o600, "k" * 16), ("short", 0o600, "short"),
                                ("open", 0o644, "k" * 16)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(mode)
    line, = told(text)
    assert message in line
    loaded(text)
    assert message in caplog.text.replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(("text", "message"), [
    ('[serve]\ntoken_file = "short"', "site.toml:2: serve.token_file: short has 15 characters; at"),
    ('[privacy]\ncrops = false\nscenes = false\nhash_key_file = "short"',
     "site.toml:4: privacy.hash_key_file: short has 15 characters; at least 16 are needed"),
])
def test_a_key_that_is_refused_at_the_start_is_a_mistake(told, loaded, tmp_path, text, message):
    (tmp_path / "short").write_text("é" * 15 if "hash_key" in text else "e" * 15)
    (tmp_path / "short").chmod(0o600)
    line, = told(text)
    assert line.startswith(message)
    with pytest.raises(UsageError, match="short has 15 characters"):
        loaded(text)
    with pytest.raises(UsageError, match="short has 15 characters"):
        PlateHasher.from_file(tmp_path / "short")


@pytest.mark.parametrize("text", [
    '[serve]\ntoken_file = "token"',
    STORE + '[[webhooks]]\nname = "w"\nurl = "https://h/"\ntoken_file = "token"',
])
def test_a_token_that_no_header_can_have_is_a_mistake(told, tmp_path, text):
    (tmp_path / "token").write_text("é" * 16, "utf-8")
    (tmp_path / "token").chmod(0o600)
    line, = told(text)
    assert "token_file: the token in token has characters that no header can have" in line
    assert "warning" not in line and "é" not in line


def test_loading_raises_all_mistakes_and_no_warnings(loaded):
    with pytest.raises(UsageError) as caught:
        loaded(GATE + "every = 0\n[store]\nkeep_events_days = 3\n[serve]\nport = -1")
    first, second = str(caught.value).splitlines()
    assert ":4: cameras[0].every" in first and ":8: serve.port: got -1; allowed: 0..65535" in second


def test_the_environment_goes_first(loaded, tmp_path):
    config = loaded(
        GATE + STORE,
        ALPR_EDGE_WATCH__STORE__PATH="/srv/e.sqlite", ALPR_EDGE_WATCH__SERVE__PORT="9000",
        ALPR_EDGE_WATCH__CAMERAS__0__SOURCE="7", ALPR_EDGE_WATCH__CAMERAS__0__TILES="[2, 1]",
        ALPR_EDGE_WATCH__CAMERAS__0__HWACCEL="none", ALPR_EDGE_WATCH__CAMERAS__1__NAME="yard",
        ALPR_EDGE_WATCH__CAMERAS__1__SOURCE="8", ALPR_EDGE_WATCH__PLATES__FUZZY="false",
        ALPR_EDGE_WATCH__MQTT__HOST="broker", ALPR_EDGE_WATCH__MQTT__DISCOVERY="",
        ALPR_EDGE_WATCH__MODEL__PRECISION="fp32", ALPR_EDGE_CONFIG="", HOME="/",
    )
    assert config.store.path == Path("/srv/e.sqlite") and config.serve.port == 9000
    gate, yard = config.cameras
    assert (gate.source, gate.tiles, gate.hwaccel) == ("7", (2, 1), HardwareDecoding.NONE)
    assert (yard.name, yard.source) == ("yard", "8")
    assert not config.plates.fuzzy and config.model.precision == "fp32"
    assert config.mqtt and (config.mqtt.host, config.mqtt.discovery) == ("broker", None)


@pytest.mark.parametrize(("variable", "value", "message"), [
    ("STORE__PAHT", "x", "ALPR_EDGE_WATCH__STORE__PAHT: store.paht: unknown key; did you mean"),
    ("SERVE__PORT", "x", "ALPR_EDGE_WATCH__SERVE__PORT: serve.port: got 'x'; allowed: a whole"),
    ("SERVE__PORT", "-1", "ALPR_EDGE_WATCH__SERVE__PORT: serve.port: got -1; allowed: 0..65535"),
    ("CAMERAS__2__NAME", "x", "CAMERAS__2__NAME: cameras[2].name: there is no such setting"),
    ("CAMERAS__0__NAME__X", "x", "CAMERAS__0__NAME__X: cameras[0].name.x: there is no such"),
    ("CAMERAS", "x", "ALPR_EDGE_WATCH__CAMERAS: cameras: got 'x'; allowed: tables [[cameras]]"),
    ("", "x", "ALPR_EDGE_WATCH__: "),
])
def test_mistakes_of_the_environment_name_the_variable(told, variable, value, message):
    assert message in told(GATE, **{f"ALPR_EDGE_WATCH__{variable}": value})[0]


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="No such file.*alpr-edge init"):
        config_file.load(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="Is a directory"):
        config_file.load(tmp_path)
    (tmp_path / "latin").write_bytes(b"# \xe9")
    with pytest.raises(UsageError, match="save it as UTF-8"):
        config_file.load(tmp_path / "latin")


def test_options_obey_the_same_rules():
    camera = CameraConfig(name="a", source="0", every=0)
    with pytest.raises(UsageError, match=r"^cameras\[0\].every: got 0; allowed: 1 or more$"):
        config_rules.check(Config(cameras=(camera,)))
    config_rules.check(Config(store=StoreConfig(keep_events_days=1)))  # a warning only


# ---- The template --------------------------------------------------------------------------

SETTING = re.compile(r"^#(?=\S)", re.MULTILINE)


def every_table():
    """All dataclasses of the configuration."""
    found, left = {}, [Config]
    while left:
        kind = left.pop()
        found[kind] = typing.get_type_hints(kind)
        inner = [plain(hint) for hint in found[kind].values()]
        inner += [typing.get_args(hint)[0] for hint in inner if typing.get_origin(hint) is tuple]
        left += [one for one in inner if dataclasses.is_dataclass(one)]
    return found


def as_config(text: str) -> Config:
    config, mistakes = config_file.values(Config, tomllib.loads(text))
    assert not mistakes
    return config


def test_the_template_loads_as_it_is(tmp_path):
    config_file.write_template(tmp_path / "site.toml")
    assert config_file.check(tmp_path / "site.toml", {}) == []
    config = config_file.load(tmp_path / "site.toml", {})
    assert config.cameras[0].source.startswith("rtsp://")
    assert config.store.path == tmp_path / "events.sqlite"
    assert dataclasses.replace(config, cameras=(), store=StoreConfig()) == Config()


def test_the_template_has_every_setting_and_what_it_is_without():
    document = tomllib.loads(SETTING.sub("", config_file.template()))
    written = as_config(SETTING.sub("", config_file.template()))
    seen = {}
    for key, table in tables(written):
        node = document
        for part in key:
            node = node[part]
        seen[type(table)] = node
        for field in dataclasses.fields(table):
            assert field.name in node, f"{field.name} of {type(table).__name__}"
            default, value = field.default, getattr(table, field.name)
            plain_default = default not in (dataclasses.MISSING, None, ())
            if plain_default and not dataclasses.is_dataclass(default) and field.name != "label":
                assert value == default, f"{field.name} of {type(table).__name__}"
    assert set(seen) == set(every_table())


def test_every_uncommented_setting_is_one_line_each_of_its_own():
    """Any one setting alone can be set in the template (but for those that need another)."""
    text = config_file.template()
    for match in SETTING.finditer(text):
        end = text.index("\n", match.end())
        line = text[match.end():end]
        if " = " in line and not line.endswith("["):
            tomllib.loads(text[:match.start()] + line + text[end:])


def test_lines_are_short_enough():
    assert max(map(len, config_file.template().splitlines())) <= 100


def test_every_number_has_a_range():
    numbers = {
        (kind, name) for kind, hints in every_table().items() for name, hint in hints.items()
        if plain(hint) in (int, float) or plain(hint) == tuple[int, int]
    }
    assert numbers == {(kind, name) for kind, ranges in config_ranges.RANGES.items()
                       for name in ranges}


# ---- The commands ---------------------------------------------------------------------------

def test_init_writes_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init"]) == 0
    assert cli.main(["check-config"]) == 0
    assert "alpr-edge.toml: good" in capsys.readouterr().out
    (tmp_path / "alpr-edge.toml").write_text("mine")
    assert cli.main(["init"]) == 2
    assert "exists already and is kept" in capsys.readouterr().err
    assert (tmp_path / "alpr-edge.toml").read_text() == "mine"
    assert cli.main(["init", "no/such/folder.toml"]) == 4


def test_check_config_tells_lines_and_counts(tmp_path, capsys):
    file = tmp_path / "site.toml"
    file.write_text("[store]\nkeep_events_days = 3\n[serve]\nport = -1\nhots = 1\n")
    assert cli.main(["check-config", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == f"{file}: 2 wrong, 1 to be warned of\n"
    assert [line.removeprefix(f"{file}:").split(":")[0] for line in err.splitlines()] == [
        "1", "4", "5"
    ]
    file.write_text("[store]\nkeep_events_days = 3\n")
    assert cli.main(["check-config", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: good, 1 to be warned of\n"
