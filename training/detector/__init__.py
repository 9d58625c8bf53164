"""The detector: network, assignment, losses, training pictures, training and evaluation."""
