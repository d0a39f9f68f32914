"""Graphs of phones for lattice-free MMI: what might have been said, and what was."""
