"""What decoding and lattices share: scores, recognisers, word errors."""
