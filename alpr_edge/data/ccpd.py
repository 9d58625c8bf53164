"""CCPD folders as they unpack (Xu et al. 2018): the annotation of a picture is its file name.

    025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg
    area-tilts-box-corners BR BL TL TR-plate as indices-brightness-blurriness

CCPD2019 has ``ccpd_base, ccpd_weather, ... ccpd_np`` and ``splits/*.txt``, CCPD2020 has
``ccpd_green/{train,val,test}``. Its authors' train, val and test are our train, dev and val; where
no list or folder says, ccpd_base is train, ccpd_weather is dev and every other subset val. A list
of one's own, ``splits/calib.txt``, names the pictures to quantize on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from alpr_edge.data.folders import picture_size, pictures_in, text_lines
from alpr_edge.data.sample import PlateTruth, Report, Sample, Split, stop
from alpr_edge.errors import DataError
from alpr_edge.types import Point

WIDTH, HEIGHT = 720, 1160
"""Size of every annotated CCPD picture."""
NO_PLATES = "ccpd_np"
SPLIT_FOLDER = "splits"

_PROVINCES = "皖沪津渝冀晋蒙辽吉黑苏浙京闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新警学O"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZO"
_LETTERS_DIGITS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789O"
_NONE = "O"
"""Plates have no letter O; in CCPD's three lists it stands for "no character"."""
_LENGTHS = (7, 8)
_AUTHORS_SPLITS = {"train": Split.TRAIN, "val": Split.DEV, "test": Split.VAL}
_OWN_SPLITS = {"calib": Split.CALIB}
"""Counts before the authors'."""
_SUBSET_SPLITS = {"ccpd_base": Split.TRAIN, "ccpd_weather": Split.DEV}


def subsets(root: Path) -> list[Path]:
    """The CCPD subset folders at ``root``; where there is none, ``root`` itself if it is one."""
    found = sorted(p for p in root.glob("ccpd_*") if p.is_dir())
    return found or ([root] if root.name.startswith("ccpd_") else [])


def read_ccpd(root: Path, report: Report = stop) -> Iterator[Sample]:
    """All samples of the CCPD subsets at ``root``, subset by subset, in order of file names.

    Raises:
        DataError: a file name that CCPD could not have given, or a list of a split that is not
            UTF-8; the message names the file.
    """
    for folder in subsets(root):
        lists = _split_lists(folder.parent / SPLIT_FOLDER)
        for path in pictures_in(folder):
            split = lists.get(path.relative_to(folder.parent).as_posix()) or _folder_split(
                path.relative_to(folder)
            )
            split = split or _SUBSET_SPLITS.get(folder.name, Split.VAL)
            try:
                sample = _sample(path, folder.name, split)
            except DataError as error:
                report(error)
            else:
                yield sample


def decode_name(name: str) -> PlateTruth:
    """The plate that a CCPD file name (with or without suffix) describes.

    Raises:
        DataError: the name is malformed; the message names it and the field.
    """
    fields = Path(name).stem.split("-")
    if len(fields) != 7:
        raise DataError(f"{name}: {len(fields)} fields separated by '-'; CCPD names have 7")
    try:
        (x1, y1), (x2, y2) = _points(fields[2], 2)
        bottom_right, bottom_left, top_left, top_right = _points(fields[3], 4)
        text = _text([int(index) for index in fields[4].split("_")])
    except (ValueError, IndexError) as error:
        raise DataError(
            f"{name}: no CCPD name ({error}); it is area-tilts-x&y_x&y-four corners-7 or 8 plate "
            "indices-brightness-blurriness"
        ) from error
    return PlateTruth(
        box=(x1, y1, x2, y2),
        corners=(top_left, top_right, bottom_right, bottom_left),
        text=text or None,
    )


def _points(field: str, count: int) -> list[Point]:
    """``x&y_x&y`` as ``count`` points."""
    points = [tuple(float(value) for value in point.split("&")) for point in field.split("_")]
    if len(points) != count or any(len(point) != 2 for point in points):
        raise ValueError(f"{field!r} should be {count} points x&y")
    return [(x, y) for x, y in points]


def _text(indices: list[int]) -> str:
    """Indices of province, letter and five or six letters or digits as a text."""
    if len(indices) not in _LENGTHS or min(indices) < 0:
        raise ValueError(f"{len(indices)} plate indices {indices}")
    lists = (_PROVINCES, _LETTERS, *[_LETTERS_DIGITS] * (len(indices) - 2))
    characters = [names[index] for names, index in zip(lists, indices, strict=True)]
    return "".join(c for c in characters if c != _NONE)


def _sample(path: Path, subset: str, split: Split) -> Sample:
    empty = subset == NO_PLATES
    width, height = picture_size(path) if empty else (WIDTH, HEIGHT)
    try:
        plates = () if empty else (decode_name(path.name),)
    except DataError as error:
        raise DataError(f"{path.parent}: {error}") from error
    return Sample(
        path=path, dataset=subset, split=split, width=width, height=height,
        plates=plates, country="CN",
    )


def _folder_split(inside: Path) -> Split | None:
    """CCPD2020: the split named by the first folder inside the subset."""
    return _AUTHORS_SPLITS.get(inside.parts[0]) if len(inside.parts) > 1 else None


def _split_lists(folder: Path) -> dict[str, Split]:
    """Picture path relative to CCPD's root → split, from the lists in ``folder``."""
    splits = {}
    for name, split in (_AUTHORS_SPLITS | _OWN_SPLITS).items():
        path = folder / f"{name}.txt"
        if path.exists():
            for line in text_lines(path):
                if line.strip():
                    splits[line.split()[0]] = split
    return splits
