"""Quotes the texts of overrides that Hydra's grammar would refuse, or read as something else.

A bare `name=1_1_1` is the number 111 to Hydra, `name=null` is nothing, and `name=données` an error.
Where a text belongs, what is written is meant; quotes say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import MISSING

from asr_hf.cli.kinds import Kinds
from asr_hf.settings.kinds import BY_NAME, NOTHING, TEXT, TEXTS

_TEXTUAL = frozenset({TEXT, TEXTS, BY_NAME, NOTHING})
_FUNCTION = re.compile(
    r"(choice|range|interval|glob|sort|shuffle|tag|int|float|str|bool|json_str|extend_list)\("
)


def quote(text: str) -> str:
    """A text as Hydra's grammar takes it, whatever is in it; `${...}` stays an interpolation."""
    return QuotedString(text, Quote.single).with_quotes()


def as_text(text: str) -> str:
    """A text as Hydra's grammar takes it, in which `${...}` is nothing but text."""
    return quote(text.replace("${", "\\${"))


def quoted(override: str, kinds: Kinds) -> str:
    """Quote what an override's value needs quoted, each value of a list or sweep by itself.

    Args:
        override: as given on the command line.
        kinds: what may stand at its key; empty where that is not known.

    Returns:
        The override, as Hydra's grammar reads it as meant.
    """
    key, equals, value = override.partition("=")
    textual = bool(kinds - {NOTHING}) and kinds <= _TEXTUAL
    sound = _read(value) is not None
    if not equals or (sound and (not textual or _FUNCTION.match(value))):
        return override
    parts = (_quoted(part, textual, kinds) if free else part for part, free in _parts(value))
    return f"{key}={''.join(parts)}"


def value_of(override: str) -> Any:
    """The plain value that an override gives; ??? where it gives none, or several to sweep."""
    try:
        found = OverridesParser.create().parse_override(override)
        return MISSING if found.is_sweep_override() else found.value()
    except HydraException:
        return MISSING


def sweeps(override: str) -> bool:
    """Whether an override gives several values, of which a sweep takes one at a time."""
    try:
        return bool(OverridesParser.create().parse_override(override).is_sweep_override())
    except HydraException:
        return False


def _quoted(token: str, textual: bool, kinds: Kinds) -> str:
    bare = token.strip()
    if not bare or (NOTHING in kinds and bare.lower() == "null"):
        return bare
    read = _read(bare)
    return bare if read is str or (read is not None and not textual) else quote(bare)


def _read(value: str) -> type | None:
    """What Hydra reads a value as; None where it cannot."""
    try:
        found = OverridesParser.create().parse_override(f"key={value}").value()
    except HydraException:
        return None
    return str if isinstance(found, str) else type(found)


def _parts(value: str) -> Iterator[tuple[str, bool]]:
    """Part a value into texts, and brackets, commas and keys of mappings, which are not free."""
    brackets = ""
    token, position = "", 0
    while position < len(value):
        if matched := _verbatim(value[position:], starts=not token.strip()):
            token, position = token + matched, position + len(matched)
            continue
        one = value[position]
        position += 1
        opens = one in "[{" and not token.strip() and (brackets or position == 1)
        closes = one in "]}" and brackets
        if opens or closes or one == ",":
            yield token, True
            yield one, False
            token = ""
            brackets = brackets + one if opens else brackets[: -1 if closes else None]
        elif one == ":" and brackets.endswith("{"):
            # Hydra's grammar knows no quotes for keys.
            yield token + one, False
            token = ""
        else:
            token += one
    yield token, True


def _verbatim(rest: str, *, starts: bool) -> str:
    """What is taken as it is: an interpolation, an escaped character, a quoted text at a start."""
    if interpolation := re.match(r"\$\{[^}]*\}|\\.", rest):
        return interpolation.group()
    found = re.match(r"""(?:'(?:\\.|[^\\'])*'|"(?:\\.|[^\\"])*")(?=\s*(?:[,\]}]|$))""", rest)
    return found.group() if found and starts else ""
