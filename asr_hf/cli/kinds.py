"""The kinds of values that keys of the configuration take: a text, a number, a list and others.

The values in the files of conf/ show the kinds. DECLARED has the keys whose values there are null,
empty, or of one kind among several.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import yaml
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf._utils import get_yaml_loader
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

# Kinds of an option's name.
OPTION: Kinds = frozenset({TEXT, TEXTS, NOTHING})

_PATH = frozenset({TEXT, NOTHING})
_PATHS = frozenset({TEXT, TEXTS, NOTHING})
_BY_LANGUAGE = frozenset({TEXT, BY_NAME, NOTHING})
_COUNT = frozenset({NUMBER, NOTHING})
_SIZE = frozenset({TEXT, NUMBER, NOTHING})

DECLARED: dict[str, Kinds] = {
    "name": frozenset({TEXT}),
    "init_from": _PATH,
    "criterion.denominator": _PATH,
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
    "corpus.numbers": _BY_LANGUAGE,
    "corpus.lexicon": _BY_LANGUAGE,
    "corpus.lm_text": _BY_LANGUAGE,
    **dict.fromkeys(("corpus.table", "corpus.audio", "corpus.source", "corpus.train_data"), _PATH),
    "corpus.heldout_data": _PATH,
    # Folders of Switchboard: one, or several that belong together.
    **dict.fromkeys((f"corpus.{k}" for k in ("swbd", "eval2000", "hub5_refs", "rt03")), _PATHS),
    **dict.fromkeys(
        (f"corpus.{k}" for k in ("msu", "fisher", "conv_tab", "lexicon_patch")), _PATHS
    ),
    "corpus.subsets": frozenset({GROUP}),
    "corpus.subsets_scored": frozenset({GROUP}),
    "features.sample_rate": _COUNT,
    "features.transforms": _PATHS,
    "features.perturb.level": frozenset({LIST, NOTHING}),
    "preconditioner.most_classes": _COUNT,
    "alignment.max_utterances": _COUNT,
    **dict.fromkeys((f"alignment.{k}" for k in ("tree", "flat")), frozenset({GROUP, NOTHING})),
    "alignment.tree.max_utterances": _COUNT,
    "alignment.from_kaldi": _PATHS,
    "alignment.from_ark": _PATH,
    "alignment.num_pdfs": _COUNT,
    "alignment.from_run": _PATH,
    "alignment.states_from": _PATH,
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
    "runtime.look_share": _COUNT,
    **dict.fromkeys((f"trainer.{k}" for k in ("heldout_frames", "horizon.seconds")), _COUNT),
}

# Mappings in which the user chooses the names: of sets, languages and subsets.
OPEN = (
    "corpus.held_out",
    "corpus.held_out_scenes",
    "corpus.subsets",
    "corpus.subsets_scored",
    "corpus.augmentation.sets",
    *(key for key, kinds in DECLARED.items() if BY_NAME in kinds),
)


def kinds_at(key: str, plain: DictConfig) -> Kinds:
    """Return the kinds of values that a key takes.

    Args:
        key: dotted key.
        plain: configuration with the chosen options and no other overrides.

    Returns:
        The kinds; an empty set where they are not known.
    """
    parent, _, _ = key.rpartition(".")
    if key in DECLARED:
        return DECLARED[key]
    if BY_NAME in DECLARED.get(parent, ()):
        return frozenset({TEXT})
    if key in known_keys() and not _is_foreign(plain, key):
        kinds = known_keys()[key]
        return frozenset() if kinds == {NOTHING} else kinds
    # A setting of the user's own: only its default, if it has one, shows the kind.
    kinds = _kinds_of(_value(plain, key)) - {NOTHING}
    return kinds | {NOTHING} if kinds else kinds


def _value(config: DictConfig, key: str) -> Any:
    """Return the plain value at a key; None where there is none, or it cannot be resolved."""
    try:
        value = OmegaConf.select(config, key)
        return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException:
        return None


def _is_foreign(config: DictConfig, key: str) -> bool:
    """Return whether a key is a setting of a class outside asr-hf."""
    while key := key.rpartition(".")[0]:
        target = _value(config, f"{key}._target_")
        if target is not None:
            return not str(target).startswith("asr_hf.")
    return False


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML's values as OmegaConf does, in a small part of its time."""

    yaml_implicit_resolvers = get_yaml_loader().yaml_implicit_resolvers


def read_plain(text: str) -> Any:
    """Return the plain values of a YAML text that is one of ours, `${...}` as it stands."""
    return yaml.load(text, Loader=_Loader) or {}


@cache
def known_keys() -> Mapping[str, Kinds]:
    """Return the kinds of values of every key of the built-in tree, over all options."""
    kinds_by_key: dict[str, set[str]] = {}
    places = [(conf_dir() / "train.yaml", "")]
    places += [(p, g) for g in groups() for p in sorted((conf_dir() / g).glob("*.yaml"))]
    for path, group in places:
        text = path.read_text(encoding="utf-8")
        is_global = "@package _global_" in text
        raw = read_plain(text)
        for key, value in entries(raw, "" if is_global else group):
            if not key.startswith(("defaults", "hydra")):
                kinds_by_key.setdefault(key, set()).update(_kinds_of(value))
    return {key: frozenset(kinds) for key, kinds in kinds_by_key.items()}


def entries(tree: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key of a plain tree with its value, a mapping before its entries.

    Args:
        tree: plain values, nested.
        key: dotted key of the tree; empty for a whole configuration.

    Yields:
        A dotted key and its value.

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
    """Check that every value is of a kind that its key takes.

    Args:
        config: composed configuration.
        plain: configuration with the chosen options and no other overrides.
        overrides: overrides of the command; the message names the one to blame.

    Raises:
        InputError: a value is of another kind.
    """
    given = {key_of(override): override for override in overrides}
    for key, value in entries(OmegaConf.to_container(config, resolve=False)):
        if error := misfit(key, value, plain, given.get(key)):
            raise error


def misfit(
    key: str, value: Any, plain: DictConfig, override: str | None = None
) -> InputError | None:
    """Return an error where a value is of a kind that its key does not take.

    Args:
        key: dotted key.
        value: plain value.
        plain: configuration with the chosen options and no other overrides.
        override: override that gave the value; None where a file did.

    Returns:
        The error, or None where the value fits.
    """
    kinds = kinds_at(key, plain)
    if not kinds or _fits(value, kinds):
        return None
    place, culprit = next(_culprits(key, value, kinds))
    texts = kinds & {TEXT, TEXTS, BY_NAME} and not isinstance(culprit, list | dict)
    example = _value(plain, key)
    has_example = example is not None and not isinstance(example, dict) and _fits(example, kinds)
    expected = " or ".join(sorted(kinds, key=[*_ALL].index))
    return InputError(
        f"{(place == key and override) or place}: {shown(culprit)} where "
        f"{expected if place == key else TEXT} belongs",
        expected=f"as in {key}={example}" if has_example else "",
        remedy=QUOTE if texts else "",
    )


def _culprits(key: str, value: Any, kinds: Kinds) -> Iterator[tuple[str, Any]]:
    """Yield the values that do not fit, after their keys: elements first, then the whole."""
    if TEXTS in kinds and isinstance(value, list):
        yield from ((f"{key}[{n}]", item) for n, item in enumerate(value) if not _is_text(item))
    yield key, value


def _fits(value: Any, kinds: Kinds) -> bool:
    if isinstance(value, str) and ("${" in value or value == MISSING):
        return True
    if value is None:
        # Null removes a setting that is no text.
        return NOTHING in kinds or not kinds <= {TEXT, TEXTS, BY_NAME}
    if isinstance(value, dict):
        return bool(kinds & {GROUP, BY_NAME})
    if isinstance(value, list):
        return LIST in kinds or (TEXTS in kinds and all(map(_is_text, value)))
    return bool(kinds & _kinds_of(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _kinds_of(value: Any) -> Kinds:
    """Return the kind of a value of a file; none for an interpolation, which may be anything."""
    if isinstance(value, str):
        return frozenset() if "${" in value or value == "???" else frozenset({TEXT})
    if isinstance(value, list):
        texts = bool(value) and all(map(_is_text, value))
        return frozenset({TEXTS if texts else LIST})
    kinds = ((bool, FLAG), ((int, float), NUMBER), (dict, GROUP), (type(None), NOTHING))
    return frozenset([name for kind, name in kinds if isinstance(value, kind)][:1])
