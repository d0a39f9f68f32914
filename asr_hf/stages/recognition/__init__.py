"""Turns a network's scores into words and lattices, and counts the errors of the words."""
