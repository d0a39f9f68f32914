"""ARPA language models as toolkits write them, rewritten for the library that reads them."""

from __future__ import annotations

import gzip
import io
import math
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from asr_hf.data.fields import BLANK, composed, decoded, lines_of, words_of
from asr_hf.hmm.graph.ngram import BOS, EOS, UNK
from asr_hf.runtime.errors import InputError

_COUNT = re.compile(r"ngram[ \t]+([0-9]{1,2})[ \t]*=[ \t]*([0-9]{1,18})")
_SECTION = re.compile(r"\\([0-9]{1,2})-grams:")
# What stands for a probability of nought, as in SRILM.
_LOG_ZERO = "-99"
# Texts shrink ten times; what shrinks a thousand times is meant to fill the memory.
_MAX_GROWTH = 200
_REMEDY = "make the language model again, or run asr-hf prepare"


@dataclass(frozen=True)
class Ngram:
    """One line of a model.

    Args:
        place: file and line, for messages.
        words: words of the n-gram, in composed form.
        log_prob: logarithm to the base 10, as written; -99 for a probability of zero.
        backoff: logarithm of the backoff weight; empty where there is none.
    """

    place: str
    words: tuple[str, ...]
    log_prob: str
    backoff: str


@dataclass
class _Counts:
    """Numbers of n-grams of each order, as declared and as found."""

    declared: dict[int, int] = field(default_factory=dict)
    found: dict[int, int] = field(default_factory=dict)


def arpa_unigrams(path: str | os.PathLike[str]) -> Iterator[tuple[str, float]]:
    """Read the words of an ARPA model and their log10 probabilities.

    Yields:
        A word and its log10 probability.

    Raises:
        InputError: the file cannot be read, has no unigrams, or a line is malformed.
    """
    for ngram in _ngrams(path, _Counts()):
        if len(ngram.words) > 1:
            return
        yield ngram.words[0], float(ngram.log_prob)


def write_plain(path: str | os.PathLike[str], words: Container[str], out: TextIO) -> int:
    r"""Rewrite a model in the plainest form, over the words of a lexicon.

    Everything that SRILM's and KenLM's readers accept is accepted: gzip, a byte order mark, line
    ends of Windows, text before `\data\`, tabs or blanks, `-inf`, missing backoff weights. `<UNK>`
    is `<unk>`. N-grams with `<unk>`, which every toolkit writes, are left out when the lexicon
    lacks it, as are those with foreign words of no probability.

    Args:
        path: the model's file.
        words: words of the lexicon, with `<s>` and `</s>`.
        out: stream that receives the text.

    Returns:
        The number of n-grams that were left out.

    Raises:
        InputError: the file cannot be read or is malformed, has words beyond the lexicon's, or
            lacks `<s>` or `</s>`.
    """
    counts, lines_by_order = _Counts(), defaultdict[int, list[tuple[str, str]]](list)
    unigrams: set[str] = set()
    foreign: list[Ngram] = []
    unknown = _unknown_name(path, words)
    for ngram in _ngrams(path, counts):
        order = len(ngram.words)
        if order == 1:
            unigrams.update(ngram.words)
        elif strange := [word for word in ngram.words if word not in unigrams]:
            raise InputError(
                f"{ngram.place}: {strange[0]!r} is no unigram of the model",
                expected="words of the section \\1-grams:",
                remedy=_REMEDY,
            )
        renamed = tuple(UNK if word == unknown else word for word in ngram.words)
        if outside := [word for word in renamed if word not in words]:
            possible = float(ngram.log_prob) > float(_LOG_ZERO)
            if order == 1 and possible and outside[0].lower() != UNK:
                foreign.append(ngram)
            continue
        tail = f"\t{ngram.backoff}" if ngram.backoff else ""
        lines_by_order[order].append((f"{ngram.log_prob}\t{' '.join(renamed)}", tail))
    _check_words(path, unigrams, foreign)
    out.write(
        "\\data\\\n"
        + "".join(f"ngram {n}={len(lines_by_order[n])}\n" for n in sorted(lines_by_order))
    )
    for order in sorted(lines_by_order):
        # No longer n-gram backs off to those of the highest order.
        last = order == max(lines_by_order)
        out.write(f"\n\\{order}-grams:\n")
        out.writelines(f"{line}{'' if last else tail}\n" for line, tail in lines_by_order[order])
    out.write("\n\\end\\\n")
    return sum(counts.found.values()) - sum(map(len, lines_by_order.values()))


def _unknown_name(path: str | os.PathLike[str], words: Container[str]) -> str:
    """Find the model's name of the lexicon's `<unk>`, which may be `<UNK>`."""
    if UNK not in words:
        return UNK
    names = {word for word, _ in arpa_unigrams(path) if word.lower() == UNK}
    return UNK if UNK in names or not names else names.pop()


def _check_words(path: str | os.PathLike[str], unigrams: set[str], foreign: list[Ngram]) -> None:
    for mark in (BOS, EOS):
        if mark not in unigrams:
            raise InputError(
                f"{os.fspath(path)}: no unigram {mark}",
                expected="a model of whole sentences, with <s> and </s>",
                remedy="make it again of a text with a sentence a line",
            )
    if foreign:
        raise InputError(
            f"{foreign[0].place}: {len(foreign)} words are not in the lexicon, the first "
            f"{foreign[0].words[0]!r}",
            expected="a language model over the lexicon's words",
            remedy="add pronunciations or make the language model again",
        )


def _ngrams(path: str | os.PathLike[str], counts: _Counts) -> Iterator[Ngram]:
    """Read the n-grams of a model in their order, filling `counts` on the way."""
    where = os.fspath(path)
    lines = enumerate(_lines(path), 1)
    _header(where, lines, counts.declared)
    order, ended = 1, False
    for number, line in lines:
        fields = words_of(line)
        if not fields:
            continue
        if line.startswith("\\"):
            _check_count(f"{where}:{number}", counts, order)
            if ended := fields == ["\\end\\"]:
                break
            order = _next_section(f"{where}:{number}", fields, order, counts)
            continue
        yield _ngram(f"{where}:{number}", line, fields, order)
        counts.found[order] = counts.found.get(order, 0) + 1
    if not ended or any(n > order for n, count in counts.declared.items() if count):
        raise InputError(
            f"{where}: not an ARPA language model, or cut short: "
            + ("no \\end\\" if not ended else f"no \\{order + 1}-grams: section"),
            expected="every section that \\data\\ names, and \\end\\",
            remedy=_REMEDY,
        )


def _lines(path: str | os.PathLike[str]) -> list[str]:
    where = os.fspath(path)
    try:
        content = Path(path).read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = _unpacked(where, content)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(
            f"{where}: the language model cannot be read: {reason}", remedy="run asr-hf prepare"
        ) from error
    return [composed(line.strip(BLANK)) for line in lines_of(decoded(where, content))]


def _unpacked(where: str, content: bytes) -> bytes:
    max_bytes = _MAX_GROWTH * len(content) + 1_000_000
    with gzip.open(io.BytesIO(content)) as file:
        text = file.read(max_bytes)
    if len(text) == max_bytes:
        raise InputError(
            f"{where}: more than {max_bytes} bytes when unpacked",
            expected="a text, which gzip makes some ten times smaller",
            remedy="unpack it, if it is one",
        )
    return text


def _header(where: str, lines: Iterator[tuple[int, str]], declared: dict[int, int]) -> None:
    r"""Read up to the line `\1-grams:`, and the counts declared before it."""
    inside = False
    for number, line in lines:
        if line == "\\1-grams:":
            if not inside:
                break
            if 1 not in declared or sorted(declared) != list(range(1, len(declared) + 1)):
                raise InputError(
                    f"{where}:{number}: {len(declared)} counts of n-grams before this line",
                    expected="ngram 1=..., ngram 2=... and so on",
                    remedy=_REMEDY,
                )
            return
        if line == "\\data\\":
            inside = True
        elif inside and line:
            count = _COUNT.fullmatch(line)
            if count is None:
                raise InputError(
                    f"{where}:{number}: {line[:60]!r}",
                    expected="ngram <order>=<count>, or \\1-grams:",
                    remedy=_REMEDY,
                )
            declared[int(count[1])] = int(count[2])
    missing = "\\1-grams: section" if inside else "\\data\\ before a \\1-grams: section"
    raise InputError(
        f"{where}: no {missing}",
        expected="an ARPA model",
        remedy=_REMEDY,
    )


def _check_count(place: str, counts: _Counts, order: int) -> None:
    count, declared = counts.found.get(order, 0), counts.declared[order]
    if count != declared:
        raise InputError(
            f"{place}: {count} {order}-grams before this line",
            expected=f"{declared}, as \\data\\ says",
            remedy=_REMEDY,
        )


def _next_section(place: str, fields: list[str], order: int, counts: _Counts) -> int:
    section = _SECTION.fullmatch(fields[0]) if len(fields) == 1 else None
    if section is None or int(section[1]) != order + 1 or order + 1 not in counts.declared:
        raise InputError(
            f"{place}: not an ARPA language model: {' '.join(fields)[:60]!r}",
            expected=f"\\{order + 1}-grams: or \\end\\",
            remedy=_REMEDY,
        )
    return order + 1


def _ngram(place: str, line: str, fields: list[str], order: int) -> Ngram:
    kind = {1: "unigram", 2: "bigram", 3: "trigram"}.get(order, f"{order}-gram")
    words = tuple(fields[1 : order + 1])
    backoff = fields[order + 1] if len(fields) == order + 2 else ""
    log_prob = _value(fields[0], lambda value: value <= 0)
    weight = _value(backoff, lambda value: value < math.inf) if backoff else ""
    if not order + 1 <= len(fields) <= order + 2 or log_prob is None or weight is None:
        raise InputError(
            f"{place}: bad {kind} line {line[:80]!r}",
            expected=f"log10 probability (0 or less), {order} word{'s' * (order > 1)}, "
            "and perhaps a backoff weight",
            remedy=_REMEDY,
        )
    return Ngram(place, words, log_prob, weight)


def _value(text: str, allowed: Callable[[float], bool]) -> str | None:
    """Check a logarithm: as written, -99 for minus infinity; None when it is not allowed."""
    try:
        value = float(text)
    except ValueError:
        return None
    if value == -math.inf:
        return _LOG_ZERO
    # What Python takes for a number beyond what C does: digits of other scripts, underscores.
    return text if text.isascii() and "_" not in text and allowed(value) else None
