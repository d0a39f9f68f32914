"""Preconditioners of the conjugate-gradient runs."""
