"""Decoding by the graphics unit (VA-API), where this machine and this PyAV can."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any

from alpr_edge.watch.config import HardwareDecoding
from alpr_edge.watch.extras import require
from alpr_edge.watch.sources import SourceError

_KIND = "vaapi"
_DEVICE = Path("/dev/dri/renderD128")
_log = logging.getLogger(__name__)


def accelerator(wanted: HardwareDecoding) -> Any:
    """PyAV's accelerator, or None where the CPU decodes; why is logged once.

    Raises:
        SourceError: VA-API is wanted and not there.
    """
    if wanted is HardwareDecoding.NONE:
        return None
    missing = _missing()
    if missing is None:
        return _vaapi()
    if wanted is HardwareDecoding.VAAPI:
        raise SourceError(
            f"hwaccel is vaapi, but {missing}; set hwaccel to auto or none", permanent=True
        )
    return None


def check_used(used: bool, wanted: HardwareDecoding, name: str, codec: str) -> None:
    """Say where VA-API does not decode a source's ``codec``, or raise if it must.

    Raises:
        SourceError: VA-API is wanted and does not know the codec.
    """
    if used or wanted is HardwareDecoding.NONE or _missing() is not None:
        return
    problem = f"{name}: VA-API does not decode {codec} here"
    if wanted is HardwareDecoding.VAAPI:
        raise SourceError(f"{problem}; set hwaccel to auto or none", permanent=True)
    _log.info("%s; the CPU does", problem)


@functools.cache
def _missing() -> str | None:
    """What VA-API lacks here, found by opening the device; logged once."""
    av = require("av", "watch")
    problem = None
    if not _DEVICE.exists():
        problem = f"there is no {_DEVICE}"
    elif _KIND not in require("av.codec.hwaccel", "watch").hwdevices_available():
        problem = "the FFmpeg in this PyAV is built without it"
    else:
        try:
            _vaapi().create(av.codec.Codec("h264", "r"))
        except (av.FFmpegError, NotImplementedError) as error:
            problem = f"{_DEVICE} cannot be opened: {error}"
    if problem:
        _log.info("the CPU decodes video, not VA-API: %s", problem)
    return problem


def _vaapi() -> Any:
    hwaccel = require("av.codec.hwaccel", "watch")
    return hwaccel.HWAccel(_KIND, str(_DEVICE), allow_software_fallback=True)
