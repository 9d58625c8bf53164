"""The only place of the runtime that imports OpenCV: a machine that cannot load it gets one clear
error."""

from __future__ import annotations

import os

MAX_PIXELS = 2**28
"""Largest picture OpenCV may decode: 268 megapixels, 0.8 GB as BGR. It asks the environment when it
is loaded: who imports it before alpr_edge has its own limit, four times as many."""

os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))

from alpr_edge.errors import LibraryError  # noqa: E402

try:
    import cv2
except (ImportError, OSError) as error:
    raise LibraryError(
        f"OpenCV cannot be loaded ({error}); install the build without Qt and X11: "
        "pip uninstall opencv-python; pip install --force-reinstall opencv-python-headless"
    ) from error

__all__ = ["MAX_PIXELS", "cv2"]
