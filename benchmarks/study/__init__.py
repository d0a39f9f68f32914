"""The study behind docs/acceleration.md: the losses that optimisers reach, and their cost."""
