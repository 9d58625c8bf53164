"""A small data folder of drawn pictures, in our index format."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

BOX = [60.0, 40.0, 120.0, 60.0]
CORNERS = [[60.0, 40.0], [120.0, 40.0], [120.0, 60.0], [60.0, 60.0]]


def picture(height: int, width: int, seed: int) -> np.ndarray:
    """Blurred noise: it has edges of all sizes, as photographs do."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def build_data(folder: Path, count: int = 8, splits: tuple[str, ...] = ("calib",)) -> Path:
    """``count`` frames and cut-outs of each split."""
    rows: dict[str, list[dict[str, object]]] = {"frames": [], "crops": []}
    for kind, (height, width) in (("frames", (96, 160)), ("crops", (32, 96))):
        (folder / kind).mkdir(parents=True)
        for seed, split in enumerate(split for split in splits for _ in range(count)):
            name = f"{kind}/{split}{seed:02d}.png"
            image = picture(height, width, seed)
            if kind == "frames":
                cv2.rectangle(image, (60, 40), (119, 59), (200, 60, 20), -1)
            cv2.imwrite(str(folder / name), image)
            row = {"image": name, "set": "drawn", "split": split, "width": width, "height": height}
            plates = [{"box": BOX, "corners": CORNERS, "text": "A1"}]
            rows[kind].append(row | ({"plates": plates} if kind == "frames" else {"text": "A1"}))
        lines = "".join(json.dumps(row) + "\n" for row in rows[kind])
        (folder / f"{kind}.jsonl").write_text(lines, "utf-8")
    return folder
