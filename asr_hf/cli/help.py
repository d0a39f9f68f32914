"""The help page of one verb."""

from __future__ import annotations

from asr_hf.cli.groups import groups, plus

_DATA = ("recipe", "corpus")
_LABELS = ("features", "alignment")

# The groups that each verb reads. It accepts overrides of others as well, so that one set of
# overrides serves all verbs.
USED: dict[str, tuple[str, ...]] = {
    "prepare": _DATA,
    "features": (*_DATA, "features"),
    "align": (*_DATA, *_LABELS, "preset", "hardware"),
    "train": tuple(sorted(set(groups()) - {"export"})),
    "adapt": (*_DATA, *_LABELS, "decode", "preset", "hardware"),
    "lattices": (*_DATA, *_LABELS, "lattices", "stage", "preset", "hardware"),
    "decode": (*_DATA, *_LABELS, "decode", "stage", "preset", "hardware"),
    "score": (*_DATA, "decode", "stage"),
    "pack": ("decode",),
    "transcribe": ("decode", "hardware"),
    "export": (*_DATA, *_LABELS, "decode", "export", "stage", "preset"),
    "config": tuple(groups()),
}

_OFTEN = {
    "prepare": "corpus.source=DIR       take the recordings from a folder of yours",
    "features": "features.sample_rate=16000 features.jobs=4",
    "align": "alignment=triphone alignment.tree.states=500 alignment.jobs=4 --format textgrid",
    "train": "model.hidden_sizes=[512,512,512] runtime.threads=2 runtime.seed=0",
    "adapt": "table=FILE trainer.pull_fisher=3 corpus.lexicon=FILE adapt.states=new",
    "lattices": "lattices.from_run=exp/NAME lattices.jobs=4",
    "decode": "decode.sets=[test] decode.jobs=4",
    "score": "decode.sets=[test]",
    "transcribe": "decode.beam=12 decode.jobs=4",
    "export": "export.sets=[test] export.text=true",
}

_OVERRIDES = """\
overrides most used:
  +recipe=prompts         the corpus and its settings
  table=FILE              in place of a recipe: a table of your own recordings
  name=NAME               the run folder exp/NAME
{often}  paths.data=DIR paths.exp=DIR runtime.device=auto|cpu|cuda
  --config-dir DIR        your own groups and recipes beside the built-in ones
"""


def verb_help(verb: str, short: str, text: str) -> str:
    """Return the page that `asr-hf VERB --help` prints.

    Args:
        verb: verb.
        short: description of the verb in one line.
        text: description of the verb in full.

    Returns:
        The page, with the config groups that the verb reads.
    """
    lines = [f"asr-hf {verb}: {short}", "", text.strip()]
    if verb not in USED:
        return "\n".join(lines)
    heading = "config groups that it reads (+ before those that have no default):"
    used = [_group_line(group) for group in groups() if group in USED[verb]]
    often = f"  {_OFTEN[verb]}\n" if verb in _OFTEN else ""
    return "\n".join([*lines, "", heading, *used, "", _OVERRIDES.format(often=often)])


def _group_line(group: str) -> str:
    return f"  {plus(group) + group + '=':<18}{'|'.join(groups()[group])}"
