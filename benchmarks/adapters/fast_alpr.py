"""fast-alpr (PyPI ``fast-alpr``, MIT). It downloads its models at the first run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from alpr_edge.types import Image
from benchmarks.adapters.protocol import Plate, library, plate, serve, threads


def main() -> None:
    """Answer until stdin ends."""
    fast_alpr = library("fast_alpr", "'fast-alpr[onnx]'")
    options = library("onnxruntime", "'fast-alpr[onnx]'").SessionOptions()
    options.intra_op_num_threads = threads()
    reader = fast_alpr.ALPR(detector_sess_options=options, ocr_sess_options=options)

    def predict(image: Image) -> Iterator[Plate]:
        for found in reader.predict(image):
            box = found.detection.bounding_box
            text, certain = (found.ocr.text, found.ocr.confidence) if found.ocr else ("", 0.0)
            yield plate(text, float(np.mean(certain)), (box.x1, box.y1, box.x2, box.y2))

    serve(predict)


if __name__ == "__main__":
    main()
