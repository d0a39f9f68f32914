"""The recipe for a user's own recordings, listed in a table."""
