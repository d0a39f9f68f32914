"""Quotes the texts of overrides that Hydra's grammar would refuse or read as something else.

Hydra reads a bare `name=1_1_1` as the number 111 and `name=null` as None, and refuses
`name=données`. Where a key takes texts, such values are meant literally, so they get quotes.
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
    """Quote a text for Hydra's grammar; `${...}` stays an interpolation."""
    return QuotedString(text, Quote.single).with_quotes()


def as_text(text: str) -> str:
    """Quote a text for Hydra's grammar, with `${...}` as plain text."""
    return quote(text.replace("${", "\\${"))


def quoted(override: str, kinds: Kinds) -> str:
    """Quote the value of an override where it needs quotes.

    Each value of a list or sweep is quoted by itself.

    Args:
        override: override as given on the command line.
        kinds: kinds of values that its key takes; empty where they are not known.

    Returns:
        The override, quoted.
    """
    key, equals, value = override.partition("=")
    textual = bool(kinds - {NOTHING}) and kinds <= _TEXTUAL
    sound = _read(value) is not None
    if not equals or (sound and (not textual or _FUNCTION.match(value))):
        return override
    parts = (_quoted(part, textual, kinds) if free else part for part, free in _parts(value))
    return f"{key}={''.join(parts)}"


def value_of(override: str) -> Any:
    """Return the plain value of an override; ??? where it has none, or several to sweep."""
    try:
        parsed = OverridesParser.create().parse_override(override)
        return MISSING if parsed.is_sweep_override() else parsed.value()
    except HydraException:
        return MISSING


def sweeps(override: str) -> bool:
    """Return whether an override has several values, of which a sweep takes one at a time."""
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
    """Return the type that Hydra reads a value as; None where it cannot read it."""
    try:
        parsed = OverridesParser.create().parse_override(f"key={value}").value()
    except HydraException:
        return None
    return str if isinstance(parsed, str) else type(parsed)


def _parts(value: str) -> Iterator[tuple[str, bool]]:
    """Split a value into texts, and the brackets, commas and keys between them.

    Yields:
        A piece, and whether it may be quoted: brackets, commas and keys of mappings may not.
    """
    brackets = ""
    token, position = "", 0
    while position < len(value):
        if matched := _verbatim(value[position:], starts=not token.strip()):
            token, position = token + matched, position + len(matched)
            continue
        character = value[position]
        position += 1
        opens = character in "[{" and not token.strip() and (brackets or position == 1)
        closes = character in "]}" and brackets
        if opens or closes or character == ",":
            yield token, True
            yield character, False
            token = ""
            brackets = brackets + character if opens else brackets[: -1 if closes else None]
        elif character == ":" and brackets.endswith("{"):
            # Hydra's grammar knows no quotes for keys.
            yield token + character, False
            token = ""
        else:
            token += character
    yield token, True


def _verbatim(rest: str, *, starts: bool) -> str:
    """Return the beginning of a value that is to stay as it is; empty where there is none.

    That is an interpolation, an escaped character, or a quoted text where a value starts.
    """
    if interpolation := re.match(r"\$\{[^}]*\}|\\.", rest):
        return interpolation.group()
    quoted_text = re.match(r"""(?:'(?:\\.|[^\\'])*'|"(?:\\.|[^\\"])*")(?=\s*(?:[,\]}]|$))""", rest)
    return quoted_text.group() if quoted_text and starts else ""
