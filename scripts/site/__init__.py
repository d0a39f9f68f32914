"""Makes the reference pages of the documentation, and keeps its links whole."""
