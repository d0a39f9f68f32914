"""Fixtures of a small objective."""

from __future__ import annotations

from ..tiny_net import everything, net, theta

__all__ = ["everything", "net", "theta"]
