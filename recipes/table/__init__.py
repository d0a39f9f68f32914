"""A user's own recordings, listed in a table."""
