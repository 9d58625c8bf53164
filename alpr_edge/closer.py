"""The closer look: every plate that the detector found is looked at once more, alone and large.

The detector sees a picture of any size in a frame of 640 x 384, where a corner is a pixel or two
off and a sign at the roadside looks like a plate. A second network of the same kind sees the
candidate's surroundings, scaled so that the plate is about as large each time: it knows better
where the corners are, and whether this is a plate (a cascade of detectors: Cai and Vasconcelos
2018, "Cascade R-CNN").
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from alpr_edge import decode, geometry
from alpr_edge.types import Detection, Floats

FOLDER = "closer"
"""The network's model folder, in the detector's."""
CANDIDATE = 0.3
"""Least score of a detection that is looked at."""
SAME = 0.3
"""A plate of the close-up that overlaps the candidate by this IoU is the candidate."""
LEAST = 0.05
"""Least score of a plate of the close-up."""


def looked_at(
    candidate: Detection, mapping: geometry.Letterbox, boxes: Floats, corners: Floats,
    scores: Floats,
) -> Detection | None:
    """The candidate as the closer look shows it, or None where it shows no plate there.

    Args:
        mapping: from the picture into the close-up (:func:`alpr_edge.geometry.close_up`).
        boxes, corners, scores: the close-up's plates, (k, 4), (k, 4, 2) and (k,), in its pixels
            (:func:`alpr_edge.decode.select`).

    The corners are the closer look's. The box is the mean of the candidate's and of the smallest
    around the corners, the confidence the geometric mean of both looks' scores.
    """
    if not len(scores):
        return None
    found = mapping.inverse(boxes.reshape(-1, 2, 2)).reshape(-1, 4)
    overlaps = decode.box_iou(np.array([candidate.box]), found)[0]
    best = int(np.argmax(overlaps * scores))
    if overlaps[best] < SAME:
        return None
    quad = geometry.as_quad(mapping.inverse(corners[best]))
    x1, y1, x2, y2 = (np.add(candidate.box, geometry.quad_box(quad)) / 2).tolist()
    return Detection(
        box=(x1, y1, x2, y2), corners=quad,
        confidence=math.sqrt(candidate.confidence * float(scores[best])),
    )


def settled(
    found: Sequence[Detection], width: int, height: int, *, min_score: float, iou: float
) -> list[Detection]:
    """Looked-at plates of a picture of (width, height), most confident first: those of at least
    ``min_score``, without doubles, their boxes inside the picture."""
    sure = [one for one in found if one.confidence >= min_score]
    if not sure:
        return []
    boxes = np.clip([one.box for one in sure], 0, [width, height, width, height])
    kept = decode.nms(boxes, np.array([one.confidence for one in sure]), iou)
    return [
        dataclasses.replace(sure[index], box=tuple(boxes[index].tolist()))
        for index in kept.tolist()
        if boxes[index][2] > boxes[index][0] and boxes[index][3] > boxes[index][1]
    ]
