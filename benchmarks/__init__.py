"""Speed and accuracy of the deployed models, with the runtime only: `python -m benchmarks`."""

import alpr_edge  # noqa: F401 - before OpenVINO, which else reports its import
