"""Writes plain values as YAML that is read as the values it was written from."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import yaml

# What readers of YAML 1.1 or 1.2 take for true or false.
_FLAGS = frozenset(
    form
    for word in ("y", "yes", "n", "no", "true", "false", "on", "off")
    for form in (word, word.capitalize(), word.upper())
)
# Line breaks to YAML, which keeps them as they are between double quotes alone.
_BREAKS = frozenset("\x85\u2028\u2029")


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Quotes texts that some reader would take for a number or a flag, and writes no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "'" if value in _FLAGS or _is_number(value) else None
    if not _BREAKS.isdisjoint(value):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _is_number(text: str) -> bool:
    for kind in (int, float):
        with suppress(ValueError):
            kind(text)
            return True
    return False


def plain_yaml(tree: Any) -> str:
    """Write plain values as YAML, mappings in their own order.

    Args:
        tree: texts, numbers, flags, None, and lists and mappings of these.

    Returns:
        The text.
    """
    text: str = yaml.dump(
        tree, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=_Dumper
    )
    return text
