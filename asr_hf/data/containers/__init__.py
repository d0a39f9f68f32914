"""Audio containers: what their headers declare, compared with the bytes that are there."""
