"""From trained weights to deployed models: ONNX, OpenVINO IR, INT8. See docs/optimize.md."""

import alpr_edge  # noqa: F401 - before OpenVINO and NNCF, which else report their import
