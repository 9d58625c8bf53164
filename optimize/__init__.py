"""From trained weights to deployed models: ONNX, OpenVINO IR, INT8. See docs/optimize.md."""
