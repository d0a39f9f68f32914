"""Hessian-free optimisation of a network that has nothing to do with speech, against AdamW."""
