"""The help page of one verb."""

from __future__ import annotations

from asr_hf.cli.suggest import added_groups, groups

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
    listed = "\n".join(
        f"  {'+' if group in added_groups() else ''}{group + '=':<17}{'|'.join(names)}"
        for group, names in groups().items()
    )
    return "\n".join(
        [
            *lines,
            "",
            "config groups (the defaults are those of conf/train.yaml; + where there is none):",
            listed,
            "",
            _OVERRIDES,
        ]
    )
