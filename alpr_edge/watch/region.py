"""Regions of a camera's picture: where a plate must be to count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alpr_edge._cv2 import cv2
from alpr_edge.errors import UsageError
from alpr_edge.types import Quad
from alpr_edge.watch.config import Polygon


def parse_polygon(text: str) -> Polygon:
    """``"0.1,0.5 0.9,0.5 0.9,1 0.1,1"``: three points or more, shares of width and height.

    Raises:
        UsageError: it is anything else.
    """
    try:
        points = tuple(
            (float(x), float(y)) for x, y in (point.split(",") for point in text.split())
        )
    except ValueError:
        points = ()
    if len(points) < 3 or not all(0 <= value <= 1 for point in points for value in point):
        raise UsageError(
            f"region {text!r}; needed: three points x,y or more with a space between, each 0..1 of "
            "width and height, e.g. '0,0.5 1,0.5 1,1 0,1'"
        )
    return points


def is_inside(quad: Quad, polygons: Sequence[Polygon], width: int, height: int) -> bool:
    """Whether the centre of ``quad`` (pixels) is in one of ``polygons`` (shares), or on an edge."""
    x, y = np.asarray(quad, np.float64).mean(axis=0) / (width, height)
    return any(
        cv2.pointPolygonTest(np.asarray(polygon, np.float32), (float(x), float(y)), False) >= 0
        for polygon in polygons
    )


def plate_width(quad: Quad) -> float:
    """Pixels: the mean of a plate's upper and lower edge."""
    top_left, top_right, bottom_right, bottom_left = np.asarray(quad, np.float64)
    edges = top_right - top_left, bottom_right - bottom_left
    return float(np.mean(np.linalg.norm(edges, axis=1)))
