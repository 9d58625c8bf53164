"""Training pictures of the detector: views of scenes, some of them joined to mosaics.

Every view is made by one warp from its frame to the training size; annotations go the same way.
Legend: S side of a training picture.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from alpr_edge.geometry import PAD_VALUE
from alpr_edge.types import Image
from training import augment
from training.detector.geometry import Plates, View, crop, join, random_view, warp
from training.detector.scenes import RECIPE, SceneConfig, SceneDataset


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(SceneConfig):
    """How training pictures are made; probabilities are per picture."""

    size: int = 384
    mosaic: float = 0.25


class FrameDataset(SceneDataset):
    """Endless batches of views and mosaics."""

    config: DataConfig

    def picture(self, rng: np.random.Generator) -> tuple[Image, Plates, bool]:
        """One training picture (S, S, 3), its plates, and whether all plates are annotated."""
        size = self.config.size
        if rng.random() >= self.config.mosaic:
            image, plates, complete = self._view(rng, size, size)
        else:
            image, plates, complete = self._mosaic(rng)
        plates = crop(plates, size, size, self.config.visible, self.config.smallest)
        return augment.augment(image, rng, RECIPE, self.config.strength), plates, complete

    def _mosaic(self, rng: np.random.Generator) -> tuple[Image, Plates, bool]:
        size = self.config.size
        x, y = (int(v) for v in rng.uniform(0.3, 0.7, 2) * size)
        image = np.empty((size, size, 3), np.uint8)
        parts, complete = [], True
        for left, right in ((0, x), (x, size)):
            for top, bottom in ((0, y), (y, size)):
                tile, plates, whole = self._view(rng, bottom - top, right - left)
                image[top:bottom, left:right] = tile
                inside = crop(plates, bottom - top, right - left, self.config.visible, 0.0)
                parts.append(inside.shifted(left, top))
                complete &= whole
        return image, join(parts), complete

    def _view(self, rng: np.random.Generator, height: int, width: int) -> tuple[
        Image, Plates, bool
    ]:
        """A random view (height, width, 3) of a random scene."""
        sample, image, plates, _ = self.scene(rng)
        view: View = random_view(rng, plates, image.shape[:2], (height, width))
        return warp(image, view, (height, width), PAD_VALUE), view.move(plates), sample.complete
