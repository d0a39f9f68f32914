"""Describes parsers of outside files, and gives their mutated files valid checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load

from asr_hf.training.model_header import with_checksum


def _as_it_is(content: bytes) -> bytes:
    return content


def with_digest(content: bytes) -> bytes:
    """Give a checkpoint a valid checksum; otherwise no mutation would reach the parser."""
    body = content[hashlib.sha256().digest_size :]
    return hashlib.sha256(body).digest() + body


def with_model_checksum(content: bytes) -> bytes:
    """Give the header of a model file a valid checksum."""
    size = int.from_bytes(content[:8], "little")
    try:
        head = json.loads(content[8 : 8 + size])
        header = json.loads(head["__metadata__"]["asr-hf"])
        tensors = load(content)
        header.pop("checksum", None)
        head["__metadata__"]["asr-hf"] = json.dumps(with_checksum(header, tensors))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError):
        return content
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


@dataclass(frozen=True)
class Parser:
    """A parser and its valid files.

    Args:
        name: name in reports, and of the folder of its cases.
        make: function that writes the valid files into a folder.
        parse: function that reads them, and uses the values as far as a file can do harm.
        files: patterns of the files to mutate, one at a time.
        tokens: words of the format.
        seal: function applied to a mutated file.
        names_files: whether its errors must name a file of the folder.
    """

    name: str
    make: Callable[[Path], None]
    parse: Callable[[Path], object]
    files: tuple[str, ...] = ("*",)
    tokens: tuple[bytes, ...] = ()
    seal: Callable[[bytes], bytes] = _as_it_is
    names_files: bool = True
