"""Speed and accuracy of the deployed models, with the runtime only: `python -m benchmarks`."""
