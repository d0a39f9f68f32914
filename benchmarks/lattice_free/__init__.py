"""Measures lattice-free MMI: its speed, and its words beside cross-entropy's and sMBR's."""
