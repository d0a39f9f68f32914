"""Viterbi search through graphs, and the lattices that it leaves."""
