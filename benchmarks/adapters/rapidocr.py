"""RapidOCR (PyPI ``rapidocr``, Apache-2.0, models in the wheel): finds and reads all text.

Each line of text it finds is taken for a plate: it was not made to tell plates from other writing,
nor to join a plate's two rows. It runs in ONNX Runtime, which no variable caps; in OpenVINO, its
other engine, it asks for the CPU's own precision and fails under a cap.
"""

from __future__ import annotations

from collections.abc import Iterator

from alpr_edge.geometry import quad_box
from alpr_edge.types import Image
from benchmarks.adapters.protocol import Plate, library, plate, serve, threads

INSTALL = "rapidocr onnxruntime"


def main() -> None:
    """Answer until stdin ends."""
    library("onnxruntime", INSTALL)
    reader = library("rapidocr", INSTALL).RapidOCR(
        params={"EngineConfig.onnxruntime.intra_op_num_threads": threads()}
    )

    def predict(image: Image) -> Iterator[Plate]:
        found = reader(image)
        if found.boxes is not None:
            for text, score, quad in zip(found.txts, found.scores, found.boxes, strict=True):
                yield plate(text, score, quad_box(quad))

    serve(predict)


if __name__ == "__main__":
    main()
