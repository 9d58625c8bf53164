"""Contact sheets of what the networks are trained on, to look at.

    python -m training sheet --data DATA --out sheet.png --what detector --strength 1.5

``reader``: rectified plates, augmented, with their texts. ``detector``: training pictures with the
plates' outlines. ``closer``: the same of the closer look. ``rendered``: every style of rendered
plates, clean.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from alpr_edge.alphabet import decode
from alpr_edge.data import read
from alpr_edge.errors import OutputError, UsageError
from alpr_edge.geometry import letterbox
from alpr_edge.types import Floats, Image

if TYPE_CHECKING:
    from training.detector.scenes import SceneDataset

READER, DETECTOR, CLOSER, RENDERED = "reader", "detector", "closer", "rendered"
WHAT = (READER, DETECTOR, CLOSER, RENDERED)
READER_GRID, DETECTOR_GRID, CLOSER_GRID = (16, 7), (4, 6), (10, 8)
"""Rows and columns."""
_A_SET, _FRAMES = 40, 150
"""Plates of a set, and frames, that are loaded to draw from."""
_RENDERED_CELL = 112, 222
"""Height and width of a rendered plate's picture."""
_GAP, _LABEL, _GROUND = 4, 18, 40
_FONT, _TEXT = "uni", (255, 255, 255)
_LEARNT, _PSEUDO, _BOX, _IGNORED = (60, 220, 60), (0, 200, 255), (255, 120, 40), (128, 128, 128)
_TOP = (40, 40, 255)


def write_sheet(data: Path, out: Path, *, what: str, strength: float, seed: int = 0) -> None:
    """Draw a sheet of ``what`` from the training samples under ``data`` into ``out``.

    Raises:
        UsageError: ``what`` is none of :data:`WHAT`, or the strength is negative.
        DataError: nothing of split train to show.
        OutputError: the picture cannot be written.
    """
    if what not in WHAT or not strength >= 0:
        raise UsageError(
            f"what is {what!r} and strength {strength}; allowed: {', '.join(WHAT)} and 0 or more"
        )
    if what == READER:
        sheet = reader_sheet(data, strength, seed)
    elif what == DETECTOR:
        sheet = detector_sheet(data, strength, seed)
    elif what == CLOSER:
        sheet = closer_sheet(data, strength, seed)
    else:
        sheet = rendered_sheet(data, seed)
    save(sheet, out)


def save(sheet: Image, out: Path) -> None:
    """Write a picture.

    Raises:
        OutputError: no format has the name's ending, or the file cannot be written.
    """
    try:
        written = cv2.imwrite(str(out), sheet)
    except cv2.error as error:
        raise OutputError(f"{out}: no picture format; end its name in .png") from error
    if not written:
        raise OutputError(f"{out} cannot be written; does its folder exist?")


def reader_sheet(data: Path, strength: float, seed: int) -> Image:
    """Augmented plates (48, 192, 3) as the reader sees them, the text and the rows below."""
    from training.reader.data import PlateStream, ReaderDataConfig, train_plates
    from training.render import RenderMaterial
    from training.selection import some_of_each_set

    items, _ = train_plates(data, some_of_each_set(read(data), _A_SET))
    config = ReaderDataConfig(strength=strength)
    stream = PlateStream(items, RenderMaterial.load(data), config, seed)
    rows, columns = READER_GRID
    cells = []
    for image, classes, count in itertools.islice(stream, rows * columns):
        number = f"  {count + 1} rows" if count > 0 else ""
        cells.append(captioned(image, decode(classes) + number))
    return grid(cells, columns)


def detector_sheet(data: Path, strength: float, seed: int) -> Image:
    """Training pictures (S, S, 3) with outlines: green where corners are learnt, orange where they
    are another detector's, blue where only the box is, grey where ignored; top edges red."""
    from training.detector.data import DataConfig, FrameDataset

    dataset = FrameDataset(data, DataConfig(strength=strength), seed=seed, limit=_FRAMES)
    return _outlined(dataset, DETECTOR_GRID, seed)


def closer_sheet(data: Path, strength: float, seed: int) -> Image:
    """Close-ups (128, 192, 3) with outlines as in :func:`detector_sheet`."""
    from training.detector.closer import CloseConfig, CloseUps

    dataset = CloseUps(data, CloseConfig(strength=strength), seed=seed, limit=_FRAMES)
    return _outlined(dataset, CLOSER_GRID, seed)


def rendered_sheet(data: Path, seed: int) -> Image:
    """Plates of every style, a row each, with style, country and text below."""
    from training.render import RenderMaterial
    from training.render.plate import rendered_eval

    columns = 6
    cells = [
        captioned(
            letterbox(plate.image, *_RENDERED_CELL, math.inf)[0],
            f"{plate.style} {plate.country} {plate.text}",
        )
        for plate in rendered_eval(RenderMaterial.load(data), columns, seed)
    ]
    return grid(cells, columns)


def _outlined(dataset: SceneDataset, shape: tuple[int, int], seed: int) -> Image:
    """``shape``, rows and columns, of the dataset's pictures with the plates' outlines."""
    rng = np.random.default_rng(seed)
    rows, columns = shape
    cells = []
    for _ in range(rows * columns):
        image, plates, complete = dataset.picture(rng)
        cell = image.copy()
        for box, quad, weight, ignore in zip(
            plates.boxes, plates.corners, plates.corner_weight, plates.ignore, strict=True
        ):
            _outline(cell, box, quad, float(weight), bool(ignore))
        if not complete:
            _write(cell, "not all annotated", (4, len(cell) - 6))
        cells.append(cell)
    return grid(cells, columns)


def grid(cells: list[Image], columns: int) -> Image:
    """Cells of one size (H, W, 3), row by row, with gaps between them."""
    height, width = cells[0].shape[:2]
    rows = -(-len(cells) // columns)
    size = rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3
    sheet = np.full(size, _GROUND, np.uint8)
    for index, cell in enumerate(cells):
        top = _GAP + index // columns * (height + _GAP)
        left = _GAP + index % columns * (width + _GAP)
        sheet[top : top + height, left : left + width] = cell
    return sheet


def save_pages(cells: list[Image], columns: int, per_page: int, out: Path) -> None:
    """Sheets of ``per_page`` cells each beside ``out``: its name with -1.png and so on."""
    for page, start in enumerate(range(0, len(cells), per_page), 1):
        name = f"{out.stem}-{page}.png"
        save(grid(cells[start : start + per_page], columns), out.with_name(name))


def captioned(image: Image, caption: str) -> Image:
    """A picture (H, W, 3) with a line of text below it."""
    height, width = image.shape[:2]
    cell = np.full((height + _LABEL, width, 3), _GROUND, np.uint8)
    cell[:height] = image
    _write(cell, caption, (2, height + _LABEL - 4))
    return cell


def _outline(cell: Image, box: Floats, quad: Floats, weight: float, ignore: bool) -> None:
    """Corners where they are learnt, else the box."""
    if ignore or not weight:
        first, last = np.round(box - 0.5).astype(int).reshape(2, 2).tolist()
        cv2.rectangle(cell, first, last, _IGNORED if ignore else _BOX, 1)
        return
    points = np.round((quad - 0.5) * 16).astype(np.int32)
    colour = _LEARNT if weight == 1 else _PSEUDO
    cv2.polylines(cell, [points], True, colour, 1, cv2.LINE_AA, shift=4)
    top = points[:2].tolist()
    cv2.line(cell, top[0], top[1], _TOP, 1, cv2.LINE_AA, shift=4)


def _write(cell: Image, text: str, origin: tuple[int, int]) -> None:
    cv2.putText(cell, text, origin, _TEXT, cv2.FontFace(_FONT), 13)
