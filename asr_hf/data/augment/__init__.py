"""Seeded copies of utterances with other speed, background, band, level and codec."""
