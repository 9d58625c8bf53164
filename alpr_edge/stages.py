"""The names of the pipeline's stages: the keys of ``ms`` in every result and benchmark."""

from __future__ import annotations

import enum


class Stage(enum.StrEnum):
    """One step of the pipeline, in order; the value is its key in ``ms``."""

    LOAD = "load"
    LETTERBOX = "letterbox"
    DETECT = "detect"
    POSTPROCESS = "postprocess"
    CLOSER = "closer"
    RECTIFY = "rectify"
    READ = "read"
    TEXT = "text"
    TOTAL = "total"


DETECTION_STAGES = (Stage.LETTERBOX, Stage.DETECT, Stage.POSTPROCESS, Stage.CLOSER)
READING_STAGES = (Stage.RECTIFY, Stage.READ, Stage.TEXT)
