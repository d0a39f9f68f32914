"""Says whether loops are compiled for the CPU at hand."""

from __future__ import annotations

import logging
from functools import cache
from importlib import metadata

import torch

log = logging.getLogger(__name__)

# Compiling takes seconds of each process. Graphs with fewer states do not earn them back.
_WORTH_STATES = 500


def pays(states: int, device: torch.device) -> bool:
    """Return whether sums over a graph are computed by compiled loops.

    Args:
        states: number of states of the graph.
        device: where its sums are computed.
    """
    if device.type != "cpu" or states < _WORTH_STATES:
        return False
    return _missing() is None


def in_use() -> str:
    """Return in one line what computes LF-MMI's sums on CPUs, and why if it is not numba."""
    missing = _missing()
    if missing is None:
        return f"LF-MMI's sums on CPUs by loops that numba {metadata.version('numba')} compiles"
    return f"LF-MMI's sums on CPUs by torch, several times slower: {missing}"


@cache
def _missing() -> str | None:
    """Return why numba cannot be used; None if it can."""
    try:
        import numba  # noqa: F401
    # Beside a NumPy newer than it knows, numba says so by an ImportError.
    except (ImportError, OSError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "numba":
            reason = "there is no numba (pip install 'asr-hf[numba]')"
        else:
            reason = f"numba does not load: {error}"
        log.info("LF-MMI's sums go by torch, several times slower: %s", reason)
        return reason
    return None
