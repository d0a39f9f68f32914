"""Hessian-free training of DNN-HMM acoustic models."""

__version__ = "0.1.0"
