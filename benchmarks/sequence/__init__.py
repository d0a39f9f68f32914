"""Sequence training: its speed, and its gain over its start, SGD and controls."""
