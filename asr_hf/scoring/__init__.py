"""Word error rates, their confidence intervals, and the formats of sclite."""
