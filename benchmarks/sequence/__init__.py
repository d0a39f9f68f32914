"""Sequence training: its speed, and what it brings beside its start, SGD and controls."""
