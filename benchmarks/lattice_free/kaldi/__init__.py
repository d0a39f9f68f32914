"""Kaldi's own chain objective, and lattice-free MMI held against it."""
