"""The game's texts: Lua scripts that call dialogId(name, font, English) and dialogStr(text)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.fields import decoded
from asr_hf.runtime.errors import InputError

_CONTENT = r'(?:[^"\\]|\\.)*'
_STRING = f'"({_CONTENT})"'
# Comments, and calls; the English text is passed over, for it may look like a comment.
_CALL = re.compile(
    rf'--[^\n]*|\bdialogId\s*\(\s*{_STRING}\s*,\s*{_STRING}\s*,(?:\s*"{_CONTENT}")?'
    rf"|\bdialogStr\s*\(\s*{_STRING}",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
# Far more than any script has.
_LARGEST = 1 << 22
_FONT = "font_"


@dataclass(frozen=True)
class Dialog:
    """What is said.

    Args:
        voice: font that the text is shown in, without `font_`, which tells who says it.
        text: the text as written.
    """

    voice: str
    text: str


def read_dialogs(path: Path) -> dict[str, Dialog]:
    """Read the texts of a script.

    Returns:
        Name -> dialog, for those that have a text.

    Raises:
        InputError: it cannot be read, is not UTF-8 or too large, or a name has two texts.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) > _LARGEST:
        raise InputError(f"{path}: more than {_LARGEST} bytes", expected="a script with texts")
    dialogs: dict[str, Dialog] = {}
    name = voice = ""
    for call in _CALL.finditer(decoded(path, content)):
        if call[1] is not None:
            name, voice = _plain(call[1]), _plain(call[2]).removeprefix(_FONT)
        elif call[3] is not None and name:
            dialog = Dialog(voice, _plain(call[3]))
            if dialogs.setdefault(name, dialog) != dialog:
                raise InputError(
                    f"{path}: {name} has two texts, {dialogs[name].text!r} and {dialog.text!r}",
                    remedy="fetch the package fillets-ng-data again",
                )
            name = ""
    return dialogs


def _plain(text: str) -> str:
    """Resolve the escapes of a string; line ends become blanks."""
    return _ESCAPE.sub(lambda escape: " " if escape[1] in "nrt" else escape[1], text)
