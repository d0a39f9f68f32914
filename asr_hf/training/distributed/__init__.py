"""The objective summed by many processes, and their agreement."""
