"""What kind of value stands at which key: a text, a number, a list, settings by name.

The files of conf/ tell it by their values. DECLARED tells it where these are null, empty, or one of
several kinds that there may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from asr_hf.cli.groups import groups, key_of
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import conf_dir
from asr_hf.settings.kinds import (
    BY_NAME,
    FLAG,
    GROUP,
    LIST,
    NOTHING,
    NUMBER,
    TEXT,
    TEXTS,
    shown,
)

_ALL = (TEXT, NUMBER, FLAG, LIST, TEXTS, GROUP, BY_NAME, NOTHING)

QUOTE = (
    "texts that YAML reads as something else (no, yes, on, off, y, n, ~, null, 012, 1e5) stand in "
    'quotes: "no"'
)

Kinds = frozenset[str]

# What an option of a group is called.
OPTION: Kinds = frozenset({TEXT, TEXTS, NOTHING})

_PATH = frozenset({TEXT, NOTHING})
_PATHS = frozenset({TEXT, TEXTS, NOTHING})
_OF_LANGUAGES = frozenset({TEXT, BY_NAME, NOTHING})
_COUNT = frozenset({NUMBER, NOTHING})
_SIZE = frozenset({TEXT, NUMBER, NOTHING})

DECLARED: dict[str, Kinds] = {
    "name": frozenset({TEXT}),
    "init_from": _PATH,
    "runtime.threads": _COUNT,
    "runtime.memory": _SIZE,
    "runtime.resident": _SIZE,
    "corpus.name": frozenset({TEXT}),
    "corpus.recipe": _PATH,
    "corpus.clean": _PATH,
    "corpus.scoring": _PATH,
    "corpus.subset": _PATH,
    "corpus.languages": frozenset({TEXTS}),
    "corpus.decode_data": frozenset({BY_NAME}),
    "corpus.sample_rate": _COUNT,
    "corpus.norm_vars": frozenset({FLAG, NOTHING}),
    "corpus.numbers": _OF_LANGUAGES,
    "corpus.lexicon": _OF_LANGUAGES,
    "corpus.lm_text": _OF_LANGUAGES,
    **dict.fromkeys(("corpus.table", "corpus.audio", "corpus.source", "corpus.train_data"), _PATH),
    "corpus.heldout_data": _PATH,
    # Of Switchboard: a folder, or several that belong together.
    **dict.fromkeys((f"corpus.{k}" for k in ("swbd", "eval2000", "hub5_refs", "rt03")), _PATHS),
    **dict.fromkeys(
        (f"corpus.{k}" for k in ("msu", "fisher", "conv_tab", "lexicon_patch")), _PATHS
    ),
    "corpus.subsets": frozenset({GROUP}),
    "corpus.subsets_scored": frozenset({GROUP}),
    "features.sample_rate": _COUNT,
    "features.transforms": _PATHS,
    "alignment.max_utterances": _COUNT,
    "alignment.tree": frozenset({GROUP, NOTHING}),
    "alignment.tree.max_utterances": _COUNT,
    "alignment.from_kaldi": _PATHS,
    "alignment.from_ark": _PATH,
    "alignment.num_pdfs": _COUNT,
    "alignment.from_run": _PATH,
    "alignment.tag": _PATH,
    "criterion.acoustic_scale": _COUNT,
    "decode.graph": _PATH,
    "export.format": _PATH,
    "lattices.from_run": _PATH,
    "lattices.from_kaldi": _PATHS,
    "lattices.silence_phones": frozenset({TEXT, NUMBER, LIST, NOTHING}),
    "lattices.tag": _PATH,
    "lattices.utterances": _COUNT,
    "lattices.acoustic_scale": _COUNT,
    "trainer.heldout_frames": _COUNT,
}

# Mappings whose names are the user's: sets, languages, subsets.
OPEN = (
    "corpus.subsets",
    "corpus.subsets_scored",
    "corpus.augmentation.sets",
    *(key for key, kinds in DECLARED.items() if BY_NAME in kinds),
)


def kinds_at(key: str, plain: DictConfig) -> Kinds:
    """Tell what may stand at a key.

    Args:
        key: dotted.
        plain: the configuration with the groups that are chosen and no other overrides.

    Returns:
        Names of kinds; none where that is not known.
    """
    parent, _, _ = key.rpartition(".")
    if key in DECLARED:
        return DECLARED[key]
    if BY_NAME in DECLARED.get(parent, ()):
        return frozenset({TEXT})
    if key in known_keys() and not _is_foreign(plain, key):
        found = known_keys()[key]
        return frozenset() if found == {NOTHING} else found
    # A setting of the user's own: its default tells, and there may be none.
    here = _of_value(_value(plain, key)) - {NOTHING}
    return here | {NOTHING} if here else here


def _value(config: DictConfig, key: str) -> Any:
    """The plain value at a key; null where there is none, or it cannot be resolved."""
    try:
        found = OmegaConf.select(config, key)
        return OmegaConf.to_container(found) if OmegaConf.is_config(found) else found
    except OmegaConfBaseException:
        return None


def _is_foreign(config: DictConfig, key: str) -> bool:
    """Whether a key is a setting of a class that is not one of ours."""
    while key := key.rpartition(".")[0]:
        target = _value(config, f"{key}._target_")
        if target is not None:
            return not str(target).startswith("asr_hf.")
    return False


@cache
def known_keys() -> Mapping[str, Kinds]:
    """Every key of the built-in tree, under whatever option, and what its values are."""
    found: dict[str, set[str]] = {}
    places = [(conf_dir() / "train.yaml", "")]
    places += [(p, g) for g in groups() for p in sorted((conf_dir() / g).glob("*.yaml"))]
    for path, group in places:
        tree = OmegaConf.load(path)
        assert isinstance(tree, DictConfig)
        is_global = "@package _global_" in path.read_text(encoding="utf-8")
        raw = OmegaConf.to_container(tree, resolve=False)
        for key, value in entries(raw, "" if is_global else group):
            if not key.startswith(("defaults", "hydra")):
                found.setdefault(key, set()).update(_of_value(value))
    return {key: frozenset(kinds) for key, kinds in found.items()}


def entries(tree: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """List the keys of a plain tree with their values.

    Yields:
        Dotted keys and their values, mappings before what is in them.

    Raises:
        InputError: the name of an entry is no text.
    """
    if key:
        yield key, tree
    for name, value in tree.items() if isinstance(tree, dict) else ():
        if not isinstance(name, str):
            raise InputError(
                f"{key}: {shown(name)} where a name belongs", expected="a text", remedy=QUOTE
            )
        yield from entries(value, f"{key}.{name}" if key else name)


def check_kinds(config: DictConfig, plain: DictConfig, overrides: Sequence[str]) -> None:
    """Check that every value is of a kind that belongs at its key.

    Args:
        config: the composed configuration.
        plain: with the groups that are chosen and no other overrides.
        overrides: as given; messages name the one that is to blame.

    Raises:
        InputError: one is not.
    """
    given = {key_of(override): override for override in overrides}
    for key, value in entries(OmegaConf.to_container(config, resolve=False)):
        if error := misfit(key, value, plain, given.get(key)):
            raise error


def misfit(
    key: str, value: Any, plain: DictConfig, override: str | None = None
) -> InputError | None:
    """Say what is wrong with a value that does not belong at its key.

    Args:
        key: dotted.
        value: plain.
        plain: the configuration with the groups that are chosen and no other overrides.
        override: that gave it, if one did.

    Returns:
        The error; None where the value belongs there.
    """
    kinds = kinds_at(key, plain)
    if not kinds or _fits(value, kinds):
        return None
    place, one = next(_culprits(key, value, kinds))
    texts = kinds & {TEXT, TEXTS, BY_NAME} and not isinstance(one, list | dict)
    example = _value(plain, key)
    has_example = example is not None and not isinstance(example, dict) and _fits(example, kinds)
    wanted = " or ".join(sorted(kinds, key=[*_ALL].index))
    return InputError(
        f"{(place == key and override) or place}: {shown(one)} where "
        f"{wanted if place == key else TEXT} belongs",
        expected=f"as in {key}={example}" if has_example else "",
        remedy=QUOTE if texts else "",
    )


def _culprits(key: str, value: Any, kinds: Kinds) -> Iterator[tuple[str, Any]]:
    """Which value it is that does not fit, and where: an element, or the whole."""
    if TEXTS in kinds and isinstance(value, list):
        yield from ((f"{key}[{n}]", one) for n, one in enumerate(value) if not _is_text(one))
    yield key, value


def _fits(value: Any, kinds: Kinds) -> bool:
    if isinstance(value, str) and ("${" in value or value == MISSING):
        return True
    if value is None:
        # A setting that is no text may be taken away.
        return NOTHING in kinds or not kinds <= {TEXT, TEXTS, BY_NAME}
    if isinstance(value, dict):
        return bool(kinds & {GROUP, BY_NAME})
    if isinstance(value, list):
        return LIST in kinds or (TEXTS in kinds and all(map(_is_text, value)))
    return bool(kinds & _of_value(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _of_value(value: Any) -> Kinds:
    """What a value that stands in a file is; an interpolation may be anything."""
    if isinstance(value, str):
        return frozenset() if "${" in value or value == "???" else frozenset({TEXT})
    if isinstance(value, list):
        texts = bool(value) and all(isinstance(one, str) for one in value)
        return frozenset({TEXTS if texts else LIST})
    kinds = ((bool, FLAG), ((int, float), NUMBER), (dict, GROUP), (type(None), NOTHING))
    return frozenset([name for kind, name in kinds if isinstance(value, kind)][:1])
