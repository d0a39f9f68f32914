"""Inner loops of criteria, compiled for the CPU at hand by numba."""
