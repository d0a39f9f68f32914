"""A study of sequence training: its speed, and its gain over its start, SGD and controls."""
