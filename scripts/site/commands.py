"""The reference of the commands, from their help pages."""

from __future__ import annotations

import importlib

from asr_hf.cli.help import verb_help
from asr_hf.cli.verbs import VERBS


def page() -> str:
    """Return the page of all verbs, each with what its `--help` prints, in Markdown."""
    parts = [
        "# All commands",
        "What `asr-hf VERB --help` prints. Commands take settings as `key=value`; "
        "[all settings](settings.md) lists them.",
    ]
    for verb, short in VERBS.items():
        text = importlib.import_module(f"asr_hf.cli.{verb}").__doc__ or ""
        parts += [f"## asr-hf {verb}", f"```text\n{verb_help(verb, short, text).rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"
