"""Checks what a model file says of itself, without trust.

A model file may come from anywhere. Its header names a kind of model and the settings of its class;
nothing in it is imported, and it must ask for no more memory than its own tensors take.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from asr_hf.models.registry import KINDS
from asr_hf.models.settings import check_plain, check_settings
from asr_hf.runtime.own_code import is_full_name

FORMAT = "asr-hf-model-2"
_KEYS = {"format", "kind", "settings", "about", "checksum"}


def with_checksum(header: dict[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the header with a checksum of itself and of the tensors."""
    return header | {"checksum": _digest(header, tensors)}


def check_header(header: Any, tensors: Mapping[str, Tensor]) -> None:
    """Refuse a header that cannot be trusted.

    The checksum tells damage, not who wrote the file.

    Args:
        header: the header as it was read.
        tensors: the tensors of the file.

    Raises:
        ValueError: the header is wrong; the message says how.
    """
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        format_ = header.get("format") if isinstance(header, dict) else header
        raise ValueError(f"model format {str(format_)[:80]!r}, expected {FORMAT}")
    rest = {key: value for key, value in header.items() if key != "checksum"}
    if header.get("checksum") != _digest(rest, tensors):
        raise ValueError("its checksum is wrong")
    settings, about = header.get("settings"), header.get("about")
    if header.keys() != _KEYS or not isinstance(settings, dict) or not isinstance(about, dict):
        raise ValueError("its header is not one of a model")
    kind = header["kind"]
    _check_data_sizes(about, tensors)
    if kind in KINDS:
        check_settings(KINDS[kind], settings)
        flat = tensors.get("flat")
        held = 0 if flat is None else flat.numel()
        KINDS[kind].check_size(settings, about["feature_dim"], about["num_pdfs"], held)
    elif is_full_name(kind):
        for name, value in settings.items():
            check_plain({name: value}, "settings")
    else:
        known = ", ".join(KINDS)
        raise ValueError(
            f"a model of kind {str(kind)[:80]!r}, expected {known} or the full name of a class"
        )


def _check_data_sizes(about: dict[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Hold the numbers of features and pdfs against the normalisation and the priors."""
    sizes: list[Any] = [about.get("feature_dim"), about.get("num_pdfs")]
    held = [tensors[n].numel() if n in tensors else 0 for n in ("input_mean", "log_priors")]
    if not all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in sizes):
        raise ValueError(f"features and pdfs {str(sizes)[:80]}")
    if sizes[0] > held[0] or sizes[1] != held[1]:
        raise ValueError(f"features and pdfs {sizes}, but {held} of input means and priors")


def _digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        flat = tensors[name].detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {flat.dtype} {list(tensors[name].shape)}".encode())
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
