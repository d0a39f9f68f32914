"""Comparison of several runs: their figures, their settings, their words; tables and a page."""
