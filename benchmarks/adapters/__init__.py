"""Plate readers as commands that `python -m benchmarks compare --against` talks to."""
