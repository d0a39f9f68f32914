"""What readers expect of artefacts: whole, of this configuration, of sources that still hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asr_hf.data.extract import segments_source
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.runtime import artefact
from asr_hf.runtime.artefact import MAX_COMPARED_BYTES, changed_sources
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json
from asr_hf.runtime.provenance import Artefact, Source, all_settings, file_digest, indented, measure
from asr_hf.settings.settings import Settings


def require(folder: Path, remedy: str) -> Artefact | None:
    """Read the artefact in `folder`, and check that it is whole and still holds.

    Args:
        folder: where it is.
        remedy: the command that makes it.

    Returns:
        The artefact; None for a folder without a record, which other tools made.

    Raises:
        InputError: it is unfinished or damaged, or was made from what has changed since.
    """
    if not (folder / artefact.RECORD).is_file():
        return None
    known = artefact.read(folder, remedy)
    if damaged := known.damage(MAX_COMPARED_BYTES):
        raise InputError(
            f"{folder} ({known.kind}): damaged:\n{indented(damaged)}",
            expected="the files that were written",
            remedy=remedy,
        )
    if changed := changed_sources(known):
        raise InputError(
            f"{folder} ({known.kind}): made from what has changed since:\n{indented(changed)}",
            remedy=remedy,
        )
    return known


def of_this_configuration(
    settings: Settings,
    known: Artefact,
    remedy: str,
    keys: Iterable[str] = ("features", "alignment"),
) -> None:
    """Compare the settings that an artefact was made with, far back too, with the configuration's.

    Args:
        settings: settings of the command.
        known: the artefact.
        remedy: the command that makes it.
        keys: groups whose settings are compared.

    Raises:
        InputError: they differ.
    """
    if changed := differing_settings(settings, all_settings(known), keys):
        raise InputError(
            f"{known.folder} ({known.kind}): made with other settings:\n{indented(changed)}",
            expected="those of this command",
            remedy=f"{remedy}; or give this command the settings they were made with",
        )


def differing_settings(
    settings: Settings, recorded: dict[str, Any], keys: Iterable[str]
) -> list[str]:
    """Settings whose value is another in the configuration, as `key: theirs -> this one`."""
    groups = tuple(f"{key}." for key in keys)
    found = []
    for key, value in sorted(recorded.items()):
        if not key.startswith(groups):
            continue
        here = settings.plain(key, value)
        # A rate that the configuration leaves open is the corpus's.
        open_rate = key == "features.sample_rate" and here is None
        if here != value and not open_rate:
            found.append(f"{key}: {value} -> {here}")
    return found


def features_source(settings: Settings, data: DataDir, folder: Path) -> Source:
    """Identify the features of a set, which something else is made from.

    Args:
        settings: settings of the command.
        data: the set.
        folder: its features.

    Returns:
        The source.

    Raises:
        InputError: there are none, or they are of other segments or settings.
    """
    scp, remedy = folder / "feats.scp", "asr-hf features with the same overrides"
    known = require(folder, remedy)
    if not scp.is_file():
        raise InputError(f"{scp}: no features", remedy="run asr-hf features")
    if known is None:
        return Source.of_values(read_json(folder / "fbank.json"), measure(scp))
    of_this_configuration(settings, known, remedy)
    segments = known.sources.get("segments")
    if segments is not None and segments != segments_source(data):
        raise InputError(
            f"{folder}: features of other segments than those of {data.path}",
            expected="the utterances, speakers and times that stand there now",
            remedy=remedy,
        )
    return known.source


def store_source(settings: Settings, folder: Path) -> Source:
    """Identify a frame store, which something else is made from or trained on.

    Args:
        settings: settings of the command.
        folder: the store.

    Returns:
        The source.

    Raises:
        InputError: it is damaged, or of other features or labels than this configuration's.
    """
    remedy = "asr-hf align with the same overrides"
    known = require(folder, remedy)
    if known is None:
        return Source(file_digest(folder / "store.json"))
    of_this_configuration(settings, known, remedy)
    return known.source


def features_fit(features: Source, about: Mapping[str, Any], model: Path) -> None:
    """Compare the settings of features with those that a model was trained on.

    Args:
        features: a feature folder or frame store.
        about: what the model says of its training.
        model: its file.

    Raises:
        InputError: they differ.
    """
    trained = about.get("features")
    if not isinstance(trained, Mapping):
        return
    found = {
        key: value
        for key, value in all_settings(features).items()
        if key.startswith("features.") and key.removeprefix("features.") in trained
    }
    changed = [
        f"{key}: {there} -> {value}"
        for key, value in sorted(found.items())
        if (there := trained[key.removeprefix("features.")]) != value and there is not None
    ]
    if changed:
        raise InputError(
            f"{features.folder}: other features than {model} was trained on:\n{indented(changed)}",
            expected="those of its training",
            remedy="make them again with the settings of the run: asr-hf features, asr-hf align",
        )


def states_fit(states: str, about: Mapping[str, Any], model: Path, hmms: Path) -> None:
    """Compare HMM states with those that a model's outputs stand for.

    Args:
        states: the digest of the states that are decoded with.
        about: what the model says of its training.
        model: its file.
        hmms: the folder of those states.

    Raises:
        InputError: they differ.
    """
    trained = about.get("states")
    if trained is not None and trained != states:
        raise InputError(
            f"{model}: its outputs stand for other HMM states than those in {hmms}",
            expected="phones, topology and tree as they were when it was trained",
            remedy="align with the settings that it was trained with (alignment=...), or train "
            "again on these states",
        )
