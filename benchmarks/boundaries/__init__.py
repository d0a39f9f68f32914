"""Boundaries of words and phones against the exact times of synthetic speech.

python -m benchmarks.boundaries makes all figures; docs/alignment.md has them.
"""
