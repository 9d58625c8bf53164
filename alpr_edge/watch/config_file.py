"""The configuration file: TOML → :class:`~alpr_edge.watch.config.Config`, every mistake at once.

Values are checked in three steps, none of which stops at its first mistake: TOML itself, the types
and names of keys (:mod:`alpr_edge.watch.config_values`), ranges and what fits together
(:mod:`alpr_edge.watch.config_rules`). Each problem says the line, or the environment variable, that
its value comes from.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from alpr_edge.errors import OutputError, UsageError
from alpr_edge.watch import config_environment, config_files, config_rules, toml_lines
from alpr_edge.watch.config import Config
from alpr_edge.watch.config_values import Mistake, dotted, values
from alpr_edge.watch.toml_lines import Key

_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """``place`` is ``file:line`` or an environment variable; a warning keeps nothing from running.
    """

    place: str
    key: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.place}: {'warning: ' * self.warning}{key}{self.message}"


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """The file's configuration with the environment's overrides; warnings are logged.

    Relative paths, those of sources too, count from the file's folder.

    Raises:
        UsageError: the file cannot be read, or has mistakes; the message has one line for each.
    """
    config, problems = read(path, environment)
    wrong = [str(problem) for problem in problems if not problem.warning]
    if wrong:
        raise UsageError("\n".join(wrong))
    for problem in problems:
        _log.warning("%s", problem)
    return config


def check(path: Path, environment: Mapping[str, str] = os.environ) -> list[Problem]:
    """Everything that is wrong, or that is warned of, in the file's order.

    Raises:
        UsageError: the file cannot be read.
    """
    return read(path, environment)[1]


def read(path: Path, environment: Mapping[str, str]) -> tuple[Config, list[Problem]]:
    """The configuration, only to be used where no problem is more than a warning, and the problems.

    Raises:
        UsageError: the file cannot be read.
    """
    text = _text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Config(), [_no_toml(path, text, error)]
    lines = toml_lines.lines(text)
    variables, early = _override(document, environment)
    config, found = values(Config, document)
    config = _anchored(config, path.absolute().parent)
    found += early
    wrong = {mistake.key for mistake in found}
    found += [
        one for one in config_rules.mistakes(config) if wrong.isdisjoint(_prefixes(one.key))
    ]
    found.sort(key=lambda one: (_nearest(lines, one.key, 1), dotted(one.key)))
    return config, [
        Problem(
            place=_nearest(variables, one.key, f"{path}:{_nearest(lines, one.key, 1)}"),
            key=dotted(one.key), message=one.message, warning=one.warning,
        ) for one in found
    ]


def template() -> str:
    """A commented file with every setting, which can be loaded as it is."""
    return resources.files("alpr_edge.watch").joinpath("template.toml").read_text("utf-8")


def write_template(path: Path) -> None:
    """Write :func:`template` to a file that is not there yet.

    Raises:
        UsageError: there is such a file.
        OutputError: it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template())
    except FileExistsError:
        raise UsageError(f"{path} exists already and is kept; name another file") from None
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}; 'alpr-edge init' writes one to begin with"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no UTF-8 text ({error.reason}); save it as UTF-8") from error


def _no_toml(path: Path, text: str, error: tomllib.TOMLDecodeError) -> Problem:
    at = _AT_LINE.search(str(error))
    line = at[1] if at and at[1] else text.rstrip("\n").count("\n") + 1
    message = _AT_LINE.sub("", str(error))
    return Problem(place=f"{path}:{line}", key="", message=f"no TOML: {message}")


def _override(
    document: dict[str, Any], environment: Mapping[str, str]
) -> tuple[dict[Key, str], list[Mistake]]:
    """Change the document by the environment; which variable says which key, and what fails."""
    variables, failed = {}, []
    for variable, key in config_environment.overrides(environment).items():
        variables[key] = variable
        if not config_environment.put(document, key, environment[variable]):
            failed.append(Mistake(key=key, message="there is no such setting or item"))
    return variables, failed


def _anchored(config: Config, folder: Path) -> Config:
    config = config_files.anchored(config, folder)
    cameras = tuple(
        dataclasses.replace(
            camera, source=_source(camera.source, folder),
            detect_source=camera.detect_source and _source(camera.detect_source, folder),
        ) for camera in config.cameras
    )
    return dataclasses.replace(config, cameras=cameras)


def _source(source: str, folder: Path) -> str:
    """A file or folder below ``folder``; a URL or a webcam's number as it is."""
    if not source or "://" in source or source.isdecimal():
        return source
    return str(folder / Path(source).expanduser())


def _prefixes(key: Key) -> Iterator[Key]:
    """The key and the tables that it is in, the nearest first."""
    return (key[:length] for length in range(len(key), 0, -1))


def _nearest(places: Mapping[Key, Any], key: Key, default: Any) -> Any:
    """The place of the key, or else of the nearest table that it is in."""
    return next((places[one] for one in _prefixes(key) if one in places), default)
