"""What a configuration of right types must still obey: names, and values that fit together."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

from alpr_edge.alphabet import unknown_characters
from alpr_edge.cpu import usable_cores
from alpr_edge.errors import UsageError
from alpr_edge.watch import config_files, config_ranges
from alpr_edge.watch.config import (
    CameraConfig,
    Config,
    FilesConfig,
    ModelConfig,
    MqttConfig,
    PlatesConfig,
    Polygon,
    ServeConfig,
    WebhookConfig,
)
from alpr_edge.watch.config_ranges import SHARE
from alpr_edge.watch.config_values import Mistake, dotted
from alpr_edge.watch.grammar import GRAMMARS
from alpr_edge.watch.known import plain, read_known
from alpr_edge.watch.sources import PICTURE, SCHEMES, is_picture
from alpr_edge.watch.toml_lines import Key

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""Of a camera and a webhook: it becomes part of topics, file names and addresses."""
TOPIC = re.compile(r"(?!\$)[^/+#\0]+(?:/[^/+#\0]+)*")
"""Of MQTT, without wildcards and empty names."""


def mistakes(config: Config) -> list[Mistake]:
    """Everything that does not fit, each with its key."""
    return [
        *config_ranges.mistakes(config),
        *_double_names("cameras", config.cameras),
        *_double_names("webhooks", config.webhooks),
        *(one for i, camera in enumerate(config.cameras) for one in _camera(camera, i)),
        *(one for i, hook in enumerate(config.webhooks) for one in _webhook(hook, i, config)),
        *(_mqtt(config.mqtt, config) if config.mqtt else ()),
        *_model(config.model), *_serve(config.serve), *_outputs(config.files),
        *_privacy(config), *_plates(config.plates),
        *config_files.mistakes(config),
    ]


def check(config: Config) -> None:
    """For a configuration that was put together of options.

    Raises:
        UsageError: it has mistakes; the message has all of them, one a line.
    """
    wrong = [one for one in mistakes(config) if not one.warning]
    if wrong:
        raise UsageError("\n".join(f"{dotted(one.key)}: {one.message}" for one in wrong))


def _double_names(
    table: str, named: Sequence[CameraConfig | WebhookConfig]
) -> Iterator[Mistake]:
    seen: dict[str, int] = {}
    for i, one in enumerate(named):
        key = (table, i, "name")
        if not NAME.fullmatch(one.name):
            yield Mistake(key=key, message=(
                f"got {one.name!r}; allowed: 1 to 64 of the letters A-Z and a-z, digits, - and _, "
                "the first a letter or digit"
            ))
        first = seen.setdefault(one.name, i)
        if first != i:
            yield Mistake(key=key, message=(
                f"{one.name!r} is also the name of {table}[{first}]; give each a name of its own"
            ))


def _camera(camera: CameraConfig, i: int) -> Iterator[Mistake]:
    key = ("cameras", i)
    for name in ("source", "detect_source"):
        value = getattr(camera, name)
        if value is not None and (problem := source_problem(value)):
            yield Mistake(key=(*key, name), message=problem)
    if camera.detect_source and camera.tiles != (1, 1):
        yield Mistake(key=(*key, "tiles"), message=(
            f"got {list(camera.tiles)} beside detect_source; take one: tiles are for plates that "
            "are small even in the main stream"
        ))
    yield from _both((*key, "password_file"), camera.password_file, "username", camera.username)
    for number, polygon in enumerate(camera.region):
        if problem := polygon_problem(polygon):
            yield Mistake(key=(*key, "region", number), message=problem)


def source_problem(source: str) -> str | None:
    """What is wrong with a camera's source, if anything; a password in it is not repeated."""
    if not source:
        return "got nothing; allowed: a video file, a URL, a webcam's number or a folder"
    if is_picture(source):
        return f"got {PICTURE}"
    if "://" not in source:
        return None
    url = split_url(source)
    if url is None or url.scheme not in SCHEMES:
        return f"got a URL of another kind; allowed: {', '.join(f'{one}://...' for one in SCHEMES)}"
    if url.password:
        return (
            "got a URL with a password in it; set username, write the password to a file, and name "
            "that as password_file"
        )
    return None


def split_url(text: str) -> urllib.parse.SplitResult | None:
    """The parts of a URL that has a host; None for anything else."""
    try:
        url = urllib.parse.urlsplit(text)
        return url if url.hostname and url.port != 0 else None
    except ValueError:
        return None


def host_problem(host: str) -> str | None:
    """What is wrong with a host's name or address, if anything."""
    try:
        host.encode("idna")
    except UnicodeError:
        return (
            f"got the host {host!r}; allowed: an address, or a name whose parts between dots have "
            "1 to 63 characters"
        )
    return None


def polygon_problem(polygon: Polygon) -> str | None:
    """What is wrong with a region's polygon, if anything."""
    if len(polygon) < 3:
        return f"got {len(polygon)} points; allowed: 3 or more"
    outside = [point for point in polygon for value in point if value not in SHARE]
    if outside:
        return (
            f"got the point {list(outside[0])}; allowed: shares of the picture's width and "
            f"height, {SHARE} (pixels divided by the width or height)"
        )
    return None


def _both(key: Key, value: object, name: str, other: object) -> Iterator[Mistake]:
    if value is not None and other is None:
        yield Mistake(key=key, message=f"{key[-1]} without {name}; set both or none")


def _webhook(hook: WebhookConfig, i: int, config: Config) -> Iterator[Mistake]:
    key = ("webhooks", i, "url")
    url = split_url(hook.url)
    if url is None or url.scheme not in ("http", "https"):
        yield Mistake(key=key, message=f"got {hook.url!r}; allowed: http://... or https://...")
    elif problem := host_problem(url.hostname or ""):
        yield Mistake(key=key, message=problem)
    elif url.username or url.password:
        yield Mistake(key=key, message=(
            "got a URL with a user's name in it; write a token to a file and name that as "
            "token_file"
        ))
    elif hook.token_file and url.scheme == "http" and not is_loopback(url.hostname or ""):
        yield Mistake(key=key, warning=True, message=(
            "the token goes over the network unencrypted; use https"
        ))
    yield from _needs_store(("webhooks", i), config)


def _needs_store(key: Key, config: Config) -> Iterator[Mistake]:
    if config.store.path is None:
        yield Mistake(key=key, message=(
            "needs a store, which keeps events until they are delivered; set path in [store]"
        ))


def _mqtt(mqtt: MqttConfig, config: Config) -> Iterator[Mistake]:
    if not mqtt.host:
        yield Mistake(key=("mqtt", "host"), message=(
            "got nothing; allowed: the broker's name or address"
        ))
    elif problem := host_problem(mqtt.host):
        yield Mistake(key=("mqtt", "host"), message=problem)
    for name in ("topic", "discovery"):
        value = getattr(mqtt, name)
        if value is not None and not TOPIC.fullmatch(value):
            yield Mistake(key=("mqtt", name), message=(
                f"got {value!r}; allowed: a topic without the wildcards + and #, without $ at its "
                "begin, and with / only between two names"
            ))
    yield from _both(("mqtt", "password_file"), mqtt.password_file, "username", mqtt.username)
    yield from _both(("mqtt", "ca_file"), mqtt.ca_file, "tls = true", mqtt.tls or None)
    if mqtt.password_file and not mqtt.tls and not is_loopback(mqtt.host):
        yield Mistake(key=("mqtt", "tls"), warning=True, message=(
            "the password goes over the network unencrypted; set tls = true"
        ))
    yield from _needs_store(("mqtt",), config)


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches what listens at ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _serve(serve: ServeConfig) -> Iterator[Mistake]:
    if problem := host_problem(serve.host):
        yield Mistake(key=("serve", "host"), message=problem)
    elif not is_loopback(serve.host) and serve.token_file is None:
        yield Mistake(key=("serve", "host"), message=(
            f"got {serve.host!r} without token_file; others on the network need a token: write "
            "one to a file and name it as token_file, or take 127.0.0.1"
        ))


def _outputs(files: FilesConfig) -> Iterator[Mistake]:
    seen: dict[Path, str] = {}
    for field in dataclasses.fields(files):
        path = getattr(files, field.name)
        if path is None:
            continue
        first = seen.setdefault(path, field.name)
        if first != field.name:
            yield Mistake(key=("files", field.name), message=(
                f"got {str(path)!r}, which {first} has too; give each a path of its own"
            ))


def _privacy(config: Config) -> Iterator[Mistake]:
    privacy, store = config.privacy, config.store
    shown = privacy.crops or privacy.scenes and not privacy.redact
    if privacy.hash_key_file and shown:
        yield Mistake(key=("privacy", "hash_key_file"), warning=True, message=(
            "texts are hashed, but pictures show the plates; set crops = false, and scenes = false "
            "or redact = true"
        ))
    elif privacy.redact and privacy.crops:
        yield Mistake(key=("privacy", "redact"), warning=True, message=(
            "scenes and videos are blurred, but crops show the plates; set crops = false"
        ))
    if store.keep_pictures_days > store.keep_events_days:
        yield Mistake(key=("store", "keep_pictures_days"), warning=True, message=(
            f"got {store.keep_pictures_days:g}, but pictures go with their events, which are kept "
            f"for {store.keep_events_days:g} days"
        ))


def _model(model: ModelConfig) -> Iterator[Mistake]:
    asked, cores = model.workers * (model.threads or 1), usable_cores()
    if asked > cores:
        yield Mistake(key=("model", "workers"), warning=True, message=(
            f"{model.workers} of {model.threads or 1} threads are {asked}, this machine has "
            f"{cores} cores: they wait for each other; ask for fewer"
        ))


def _plates(plates: PlatesConfig) -> Iterator[Mistake]:
    for i, name in enumerate(plates.grammars):
        if name not in GRAMMARS:
            yield Mistake(key=("plates", "grammars", i), message=(
                f"got {name!r}; allowed: {', '.join(GRAMMARS)}"
            ))
    seen: dict[str, int] = {}
    for i, entry in enumerate(plates.known):
        key, text = ("plates", "known", i, "text"), plain(entry.text)
        if not text or unknown_characters(text):
            yield Mistake(key=key, message=f"got {entry.text!r}; allowed: letters and digits")
        first = seen.setdefault(text, i)
        if first != i:
            yield Mistake(key=key, message=(
                f"{entry.text!r} is the plate of plates.known[{first}] too; leave one out"
            ))
    if plates.known_file:
        try:
            read_known(plates.known_file)
        except UsageError as error:
            yield Mistake(key=("plates", "known_file"), message=str(error))
