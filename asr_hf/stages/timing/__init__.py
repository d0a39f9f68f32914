"""Times of words and phones of aligned sets: found, kept, and written for other programs."""
