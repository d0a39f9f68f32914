"""Conjugate gradients, their loop and their stopping rules."""
