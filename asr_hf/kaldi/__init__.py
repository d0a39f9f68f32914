"""Reads and writes Kaldi's files: alignments, transition models, trees, transforms, networks."""
