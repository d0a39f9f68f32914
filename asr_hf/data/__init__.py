"""Data on disk and in memory: audio, features, alignments, lattices, and the stores of these."""
