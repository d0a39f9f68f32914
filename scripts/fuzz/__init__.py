"""Fuzzing of every parser of outside files."""
