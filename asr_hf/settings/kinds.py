"""How messages name the kinds of values that settings have."""

from __future__ import annotations

from typing import Any

TEXT = "a text"
NUMBER = "a number"
FLAG = "true or false"
LIST = "a list"
TEXTS = "a list of texts"
GROUP = "settings by name"
BY_NAME = "texts by name"
NOTHING = "null"


def shown(value: Any) -> str:
    """Name a plain value as messages do: its kind, or the value where it is short."""
    if isinstance(value, list | tuple):
        return LIST
    if isinstance(value, dict):
        return GROUP
    if isinstance(value, str):
        return TEXT
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"the number {value}"
