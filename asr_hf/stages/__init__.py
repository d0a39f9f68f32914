"""Stages of the command: a module with `run(settings)` for each, and the parts of their work."""
