"""Reads the options that Kaldi's scripts leave beside a model: cmvn, splice and delta_opts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.cmvn import CmvnOptions
from asr_hf.data.fields import words_of
from asr_hf.runtime.errors import InputError

_TRUE, _FALSE = ("true", "t", "1", ""), ("false", "f", "0")
# Kaldi's defaults, of splice-feats and of add-deltas.
_SPLICE = {"left-context": 4, "right-context": 4}
_DELTAS = {"delta-order": 2, "delta-window": 2}
_CMVN = {"norm-means": True, "norm-vars": False, "reverse": False}


@dataclass(frozen=True)
class KaldiCmvn:
    """Options of Kaldi's apply-cmvn.

    Args:
        norm_means: whether anything is normalised.
        options: options of the normalisation.
    """

    norm_means: bool
    options: CmvnOptions


def read_cmvn_options(path: Path) -> KaldiCmvn:
    """Read the options of apply-cmvn.

    Returns:
        The options; apply-cmvn's defaults where there is no such file.

    Raises:
        InputError: the file cannot be read, or holds other options.
    """
    flags = dict(_CMVN)
    skipped: tuple[int, ...] = ()
    for name, value in _options(path, [*_CMVN, "skip-dims"]):
        if name == "skip-dims":
            skipped = _numbers(path, name, value)
        else:
            flags[name] = _flag(path, name, value)
    if flags["norm-vars"] and not flags["norm-means"]:
        raise InputError(
            f"{path}: --norm-vars=true with --norm-means=false",
            expected="means normalised wherever variances are, as Kaldi's apply-cmvn demands",
        )
    options = CmvnOptions(flags["norm-vars"], flags["reverse"], skipped)
    return KaldiCmvn(flags["norm-means"], options)


def read_splice_options(path: Path) -> tuple[int, int]:
    """Read the options of splice-feats.

    Returns:
        The numbers of frames to the left and to the right that it adds.

    Raises:
        InputError: the file cannot be read, or holds other options.
    """
    left, right = _integers(path, _SPLICE).values()
    return left, right


def read_delta_options(path: Path) -> tuple[int, int]:
    """Read the options of add-deltas.

    Returns:
        The order and the window.

    Raises:
        InputError: the file cannot be read, or holds other options.
    """
    order, window = _integers(path, _DELTAS).values()
    if not window:
        raise InputError(f"{path}: --delta-window=0", expected="a window of 1 frame or more")
    return order, window


def _integers(path: Path, defaults: Mapping[str, int]) -> dict[str, int]:
    numbers = dict(defaults)
    for name, value in _options(path, list(defaults)):
        if not re.fullmatch("[0-9]{1,3}", value or ""):
            raise InputError(f"{path}: --{name}={value}", expected="a number of frames, or order")
        numbers[name] = int(value or "")
    return numbers


def _options(path: Path, allowed: list[str]) -> Iterator[tuple[str, str | None]]:
    """Read name and value of each option; of several of one name Kaldi takes the last."""
    if not path.exists():
        return
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}", expected="Kaldi's options") from error
    for word in (word for line in text.split("\n") for word in words_of(line) if word):
        # Kaldi takes --norm_vars and --Norm-Vars for --norm-vars.
        key, equals, value = word.partition("=")
        name = key.removeprefix("--").lower().replace("_", "-")
        if not key.startswith("--") or name not in allowed:
            raise InputError(
                f"{path}: {word}: this option is not known here",
                expected=", ".join(f"--{option}" for option in allowed),
                remedy="make the features with Kaldi, and name them in corpus.train_data",
            )
        yield name, value if equals else None


def _flag(path: Path, name: str, value: str | None) -> bool:
    lowered = (value or "").lower()
    if lowered not in _TRUE + _FALSE or value == "":
        raise InputError(f"{path}: --{name}={value}", expected="true or false")
    return lowered in _TRUE


def _numbers(path: Path, name: str, value: str | None) -> tuple[int, ...]:
    parts = (value or "").split(":") if value else []
    if not all(re.fullmatch("[0-9]{1,5}", part) for part in parts):
        raise InputError(f"{path}: --{name}={value}", expected="dimensions from 0: 13:14:15")
    return tuple(int(part) for part in parts)
