"""Gaussian mixtures, the features that they model, and their scores."""
