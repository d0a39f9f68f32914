"""Acoustic models and what they say of themselves."""
