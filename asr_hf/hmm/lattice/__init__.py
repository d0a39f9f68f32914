"""Denominator lattices: made by a search, or read from Kaldi's files."""
