"""What a model file says of itself, read without trust.

A model file may come from anywhere. Its configuration says which class is made with which
settings, so it must name one of ours, and nothing that runs code or takes more memory than the
file's own tensors do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

FORMAT = "asr-hf-model-1"
_OURS = "asr_hf.models."
_KEYS = {"format", "config", "about", "checksum"}
_MOST_FRAMES = 1000


def with_checksum(header: dict[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The header with a checksum of itself and of the tensors."""
    return header | {"checksum": _digest(header, tensors)}


def check_header(header: Any, tensors: Mapping[str, Tensor]) -> None:
    """Refuse what cannot be trusted.

    Args:
        header: as read; one without checksum is from before there were any.
        tensors: of the file.

    Raises:
        ValueError: what is wrong with it.
    """
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else header
        raise ValueError(f"model format {str(found)[:80]!r}, expected {FORMAT}")
    rest = {key: value for key, value in header.items() if key != "checksum"}
    if "checksum" in header and header["checksum"] != _digest(rest, tensors):
        raise ValueError("its checksum is wrong")
    config, about = header.get("config"), header.get("about")
    if header.keys() - _KEYS or not isinstance(config, dict) or not isinstance(about, dict):
        raise ValueError("its header is not one of a model")
    _check_class(config)
    flat = tensors.get("flat")
    _check_sizes(config, about, 0 if flat is None else flat.numel())


def _check_class(config: dict[str, Any]) -> None:
    name = config.get("_target_")
    if not isinstance(name, str) or not name.startswith(_OURS):
        raise ValueError(f"a model of class {str(name)[:80]!r}, expected one of {_OURS}*")
    text = json.dumps({key: value for key, value in config.items() if key != "_target_"})
    if '"_' in text or "${" in text:
        raise ValueError("its configuration describes more than a model")


def _check_sizes(config: dict[str, Any], about: dict[str, Any], parameters: int) -> None:
    """Every weight matrix that is asked for must fit into the parameters that there are."""
    hidden = config.get("hidden_sizes", [])
    if not isinstance(hidden, list):
        raise ValueError(f"hidden_sizes {str(hidden)[:80]}")
    context = config.get("context", [])
    repeated = hidden if isinstance(context, list) and len(context) > len(hidden) else []
    sizes = [about.get("feature_dim"), *hidden, *repeated, about.get("num_pdfs")]
    whole = [s for s in sizes if isinstance(s, int) and not isinstance(s, bool) and s > 0]
    if whole != sizes or any(a * b > parameters for a, b in pairwise(whole)):
        raise ValueError(f"layers of {str(sizes)[:80]} in {parameters} parameters")
    frames = [config.get("left", 0), config.get("right", 0), len(json.dumps(context)) // 2]
    if not all(isinstance(f, int) and 0 <= f <= _MOST_FRAMES for f in frames):
        raise ValueError(f"frames of context {str(frames)[:80]}")


def _digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        flat = tensors[name].detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {flat.dtype} {list(tensors[name].shape)}".encode())
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
