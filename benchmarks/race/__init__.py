"""The race behind docs/race.md: our training against first-order optimisers of today."""
