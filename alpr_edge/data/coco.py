"""COCO keypoint annotations: four keypoints TL, TR, BR, BL a plate, ``[x, y, v] * 4``.

Accepted layouts: ``annotations/*_train.json`` beside ``images/``, ``train.json`` in the root, or
``train/_annotations.coco.json`` beside the pictures. The split is the word in the file's or
folder's name; without one everything is train. A plate's text may stand in ``text`` or
``plate_text`` of the annotation or of its ``attributes``.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alpr_edge.data.folders import SPLIT_NAMES, plate_text, split_named
from alpr_edge.data.sample import PlateTruth, Report, Sample, Split, stop
from alpr_edge.errors import DataError
from alpr_edge.geometry import quad_box
from alpr_edge.types import Box, Quad

_PATTERNS = ("*.json", "annotations/*.json", "*/*.coco.json")
_TEXT_KEYS = ("text", "plate_text")
_PLATE = "plate"


def coco_files(path: Path) -> list[Path]:
    """The file ``path`` itself, or the COCO files of the folder."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" else []
    found = sorted({file for pattern in _PATTERNS for file in path.glob(pattern)})
    return [file for file in found if _is_coco(file)]


def read_coco(path: Path, report: Report = stop) -> Iterator[Sample]:
    """All samples of a COCO file, or of all COCO files of a folder.

    A ``bbox`` may be missing where the keypoints are there. An ``iscrowd`` annotation makes its
    picture incomplete.

    Raises:
        DataError: invalid JSON, a missing key or picture, or categories that leave open which of
            them is the plate.
    """
    files = coco_files(path)
    present = {_split_word(file) for file in files}
    for file in files:
        root = path if path.is_dir() else file.parent
        split = split_named(_split_word(file), present)
        try:
            yield from _samples(file, _load(file), root, split, report)
        except DataError as error:
            report(error)
        except (KeyError, TypeError, ValueError) as error:
            report(_malformed(file, error))


def _malformed(file: Path, error: Exception) -> DataError:
    return DataError(
        f"{file}: {type(error).__name__}: {error}; images need id, file_name, width, "
        "height; annotations need image_id and bbox or four keypoints"
    )


def _load(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: no valid JSON: {error}") from error


def _is_coco(file: Path) -> bool:
    content = _load(file)
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def _split_word(file: Path) -> str:
    """The word for a split in the file's name, or its folder's whole name; ``train`` without."""
    words = [*re.findall("[a-z]+", file.stem.lower()), file.parent.name.lower()]
    return next((word for word in words if word in SPLIT_NAMES), Split.TRAIN.value)


def _samples(
    file: Path, content: dict[str, Any], root: Path, split: Split, report: Report
) -> Iterator[Sample]:
    plates: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    wanted = _plate_categories(file, content.get("categories", []))
    for annotation in content["annotations"]:
        if wanted is None or annotation["category_id"] in wanted:
            plates[annotation["image_id"]].append(annotation)
    for image in content["images"]:
        try:
            sample = _sample(file, image, plates[image["id"]], root, split)
        except DataError as error:
            report(error)
        except (KeyError, TypeError, ValueError) as error:
            report(_malformed(file, error))
        else:
            yield sample


def _sample(
    file: Path, image: dict[str, Any], rows: list[dict[str, Any]], root: Path, split: Split
) -> Sample:
    return Sample(
        path=_picture(file, image["file_name"], root), dataset=root.resolve().name, split=split,
        width=int(image["width"]), height=int(image["height"]),
        plates=tuple(_plate(row) for row in rows if not row.get("iscrowd")),
        complete=not any(row.get("iscrowd") for row in rows),
    )


def _plate_categories(file: Path, categories: list[dict[str, Any]]) -> set[Any] | None:
    """Ids of the categories named like plates; None where all annotations are plates."""
    if len(categories) <= 1:
        return None
    named = {c["id"] for c in categories if _PLATE in c["name"].lower()}
    if not named:
        raise DataError(
            f"{file}: none of the categories {[c['name'] for c in categories]} has {_PLATE!r} in "
            "its name; keep one category or name the plate's so"
        )
    return named


def _picture(file: Path, name: str, root: Path) -> Path:
    word = _split_word(file)
    folders = (file.parent, root, root / "images", root / "images" / word, root / word)
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{file}: picture {name} is in none of {', '.join(map(str, folders))}")


def _plate(row: dict[str, Any]) -> PlateTruth:
    corners = _corners(row.get("keypoints"))
    sources = (row, row.get("attributes") or {})
    texts = [source[key] for source in sources for key in _TEXT_KEYS if source.get(key)]
    return PlateTruth(
        box=_box(row, corners), corners=corners, text=plate_text(str(texts[0])) if texts else None
    )


def _box(row: dict[str, Any], corners: Quad | None) -> Box:
    if "bbox" not in row and corners is not None:
        return quad_box(corners)
    x, y, width, height = (float(value) for value in row["bbox"])
    return x, y, x + width, y + height


def _corners(values: list[float] | None) -> Quad | None:
    """Four keypoints as corners; None where they are absent or one is not labelled (v = 0)."""
    if not values:
        return None
    if len(values) != 12:
        raise ValueError(f"{len(values)} keypoint values instead of 12 (4 corners x, y, v)")
    if not all(values[2::3]):
        return None
    a, b, c, d = ((float(x), float(y)) for x, y in zip(values[::3], values[1::3], strict=True))
    return a, b, c, d
