"""HMM systems: graphs, mixtures, alignment, decision trees, search and lattices."""
