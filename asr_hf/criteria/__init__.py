"""Training criteria over frames and over lattices."""
