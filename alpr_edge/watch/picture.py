"""A decoded picture whose colours are computed when somebody looks at it.

Of a camera in whose view nothing happens hardly any picture is ever looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from alpr_edge.types import Image

Luma = NDArray[np.uint8]
"""(H, W): brightness as the video has it, not turned upright."""


class Picture:
    """``image``, made at once or when it is first asked for. May be shared by threads."""

    def __init__(
        self, image: Image | None, make: Callable[[], Image] | None = None,
        luma: Luma | None = None,
    ) -> None:
        """``image`` is (H, W, 3) uint8 BGR."""
        self._image, self._make, self._luma = image, make, luma
        self._lock = threading.Lock()

    @classmethod
    def later(cls, make: Callable[[], Image], luma: Luma | None) -> Picture:
        """A picture that ``make`` gives, called once at most; ``luma`` costs nothing now."""
        return cls(None, make, luma)

    @property
    def luma(self) -> Luma | None:
        """The brightness; None where only ``image`` is there, or it alone would tell."""
        return self._luma

    @property
    def image(self) -> Image:
        """(H, W, 3) uint8 BGR, upright."""
        with self._lock:
            if self._image is None:
                assert self._make is not None
                self._image = self._make()
                self._make = self._luma = None  # the decoder's memory is free again
            return self._image
