"""The reference of the configuration, from the files in conf/ and the comments in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asr_hf.cli.groups import groups, plus
from asr_hf.runtime.resources import conf_dir

_KEY = re.compile(r"^(?P<indent> *)(?P<name>[A-Za-z_][\w/]*):(?P<value>.*)$")
# What Hydra reads, and no setting of asr-hf.
_HYDRAS = ("defaults", "_target_", "_partial_", "_recursive_", "hydra")


@dataclass(frozen=True)
class Setting:
    """A key of a file, its value there, and what the comment above it says."""

    key: str
    value: str
    comment: str


@dataclass(frozen=True)
class OptionFile:
    """A file of conf/: the comment at its top, and its settings."""

    about: str
    settings: tuple[Setting, ...]


def read_option(path: Path, package: str) -> OptionFile:
    """Read a file of the configuration line by line, comments with it.

    Args:
        path: the file.
        package: dotted key that its keys lie under; empty for those that lie at the top.

    Returns:
        What it says.
    """
    text = path.read_text(encoding="utf-8")
    if "@package _global_" in text:
        package = ""
    lines = [line for line in text.splitlines() if not line.startswith("# @package")]
    count = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    about = _joined(lines[:count])
    return OptionFile(about, tuple(_settings(lines[count:], package)))


def _settings(lines: list[str], package: str) -> Iterator[Setting]:
    """Yield the settings of a file; the keys that only have keys below them are left out."""
    above: list[tuple[int, str]] = []
    comment: list[str] = []
    for place, line in enumerate(lines):
        stripped = line.strip()
        if not stripped:
            comment = []
        elif stripped.startswith("#"):
            comment.append(stripped)
        elif found := _KEY.match(line):
            indent = len(found["indent"])
            above = [(i, name) for i, name in above if i < indent]
            names = [package, *(name for _, name in above), found["name"]]
            value = _without_comment(found["value"])
            above.append((indent, found["name"]))
            if any(name in _HYDRAS for name in names):
                comment = []
                continue
            below = _below(lines[place + 1 :], indent)
            if value or not any(_KEY.match(x) for x in below):
                whole = " ".join([value, *below]).strip()
                key = ".".join(name for name in names if name)
                yield Setting(key, whole, _joined(comment))
                comment = []


def _below(lines: list[str], indent: int) -> list[str]:
    """Return the lines that belong to the value of a key."""
    found = []
    for line in lines:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        if line.strip() and not line.strip().startswith("#"):
            found.append(line.strip())
    return found


def _without_comment(value: str) -> str:
    return value.partition(" #")[0].strip()


def _joined(comment: list[str]) -> str:
    return " ".join(line.lstrip("# ").strip() for line in comment).strip()


def page() -> str:
    """Return the page of all settings, group by group, in Markdown."""
    parts = [
        "# All settings",
        "What each key means, and its default. This page is made from the files in `conf/`. "
        "`asr-hf config` prints the values that a command would use.",
        "## At the top",
        *_table(read_option(conf_dir() / "train.yaml", "").settings),
    ]
    for group, options in groups().items():
        parts += [f"## {group}", f"Choose one with `{plus(group)}{group}=`."]
        for option in options:
            path = conf_dir() / group / f"{option}.yaml"
            if path.exists():
                content = read_option(path, group.replace("/", "."))
                parts += [f"### {group}={option}", content.about, *_table(content.settings)]
                # What is set beside one option of another group alone.
                for part in sorted(path.with_suffix("").glob("*/*.yaml")):
                    content = read_option(part, "")
                    beside = f"With `{part.parent.name}={part.stem}` also:"
                    parts += [beside, content.about, *_table(content.settings)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(settings: tuple[Setting, ...]) -> list[str]:
    if not settings:
        return []
    rows = [f"| `{x.key}` | {_code(x.value)} | {_cell(x.comment)} |" for x in settings]
    return ["\n".join(["| key | default | meaning |", "|---|---|---|", *rows])]


def _code(value: str) -> str:
    return f"`{_cell(value)}`" if value else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
