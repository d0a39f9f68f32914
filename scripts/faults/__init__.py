"""A suite of faults that are injected into real trainings, which must lose nothing by them."""
