"""The Hessian-free optimiser: outer loop, damping, acceptance, and the protocols of its parts."""
