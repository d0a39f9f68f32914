"""The help page of one verb."""

from __future__ import annotations

from asr_hf.cli.groups import groups, plus

_OVERRIDES = """\
overrides most used:
  +recipe=prompts         the corpus and its settings
  name=NAME               the run folder exp/NAME
  model.hidden_sizes=[512,512,512]
  runtime.device=auto|cpu|cuda runtime.threads=2 runtime.seed=0
  paths.data=DIR paths.exp=DIR
  --config-dir DIR        your own groups and recipes beside the built-in ones
"""


def verb_help(verb: str, short: str, text: str) -> str:
    """What `asr-hf VERB --help` prints."""
    lines = [f"asr-hf {verb}: {short}", "", text.strip()]
    if verb in ("validate", "completion"):
        return "\n".join(lines)
    heading = "config groups (+ before those that have no default):"
    return "\n".join([*lines, "", heading, *map(_group_line, groups()), "", _OVERRIDES])


def _group_line(group: str) -> str:
    return f"  {plus(group) + group + '=':<18}{'|'.join(groups()[group])}"
