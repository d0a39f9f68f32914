"""A suite of faults: each is injected into a real training, which must lose nothing by it."""
