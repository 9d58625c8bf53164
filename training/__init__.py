"""Training of both networks (PyTorch). Imports from ``alpr_edge``, never the other way."""
