"""The check on a machine with an NVIDIA GPU: what is right there, and how fast it is."""
