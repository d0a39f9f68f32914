"""Reports on runs: figures, the HTML page of a run, and comparison tables."""
