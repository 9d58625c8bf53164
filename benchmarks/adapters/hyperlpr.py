"""HyperLPR's old wheel (PyPI ``hyperlpr`` 0.0.2, MIT, models in the wheel), for Chinese plates.

Of 2019: it needs numpy's and OpenCV's versions of then, finds at most one plate a picture, and runs
in OpenCV's own networks. Its successor ``hyperlpr3`` downloads its models at the first run.
"""

from __future__ import annotations

from collections.abc import Iterator

from alpr_edge._cv2 import cv2
from alpr_edge.types import Image
from benchmarks.adapters.protocol import Plate, library, plate, serve, threads

INSTALL = "hyperlpr 'numpy<1.24' 'opencv-python-headless<4'"


def main() -> None:
    """Answer until stdin ends."""
    hyperlpr = library("hyperlpr", INSTALL)
    if not hasattr(cv2, "estimateRigidTransform"):
        raise SystemExit(f"hyperlpr needs another OpenCV than {cv2.__version__}: pip install "
                         f"{INSTALL}")
    cv2.setNumThreads(threads())

    def predict(image: Image) -> Iterator[Plate]:
        for text, confidence, box in hyperlpr.HyperLPR_plate_recognition(image) or ():
            yield plate(text, confidence, box)

    serve(predict)


if __name__ == "__main__":
    main()
