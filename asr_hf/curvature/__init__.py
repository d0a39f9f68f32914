"""Gauss-Newton products and statistics of samples, for any network."""
