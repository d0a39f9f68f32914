"""Forced alignment, and the training of mixtures from a flat start."""
