"""Checks artefacts before they are read: undamaged, current, and made with these settings."""

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
from asr_hf.stages.sources.sets import perturbation

# The settings of altered features have it, and no others.
_PERTURBED = "features.perturb.speeds"


def require(folder: Path, remedy: str) -> Artefact | None:
    """Check the artefact in `folder` and its sources.

    Args:
        folder: folder of the artefact.
        remedy: command that makes the artefact, for messages.

    Returns:
        The artefact; None for a folder without a record, which other tools made.

    Raises:
        InputError: the artefact is unfinished or damaged, or its sources have changed since.
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
    """Check that an artefact and all its sources were made with the settings of this command.

    Args:
        settings: settings of the command.
        known: artefact.
        remedy: command that makes the artefact, for messages.
        keys: groups whose settings are compared.

    Raises:
        InputError: some settings differ.
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
    """Return the recorded settings that differ from these, as `key: recorded -> present`."""
    groups = tuple(f"{key}." for key in keys)
    differing = []
    for key, value in sorted(recorded.items()):
        if not key.startswith(groups):
            continue
        present = settings.plain(key, value)
        # A rate that the configuration leaves open is the corpus's.
        open_rate = key == "features.sample_rate" and present is None
        if present != value and not open_rate:
            differing.append(f"{key}: {value} -> {present}")
    return differing


def features_source(settings: Settings, data: DataDir, folder: Path) -> Source:
    """Check the features of a set, and return the source that identifies them.

    Args:
        settings: settings of the command.
        data: data directory of the set.
        folder: folder of its features.

    Returns:
        The source.

    Raises:
        InputError: there are no features, or they were made from other segments or with other
            settings.
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
    """Check a frame store, and return the source that identifies it.

    Args:
        settings: settings of the command.
        folder: folder of the store.

    Returns:
        The source.

    Raises:
        InputError: the store is damaged, or its features or labels were made with other settings.
    """
    remedy = "asr-hf align with the same overrides"
    known = require(folder, remedy)
    if known is None:
        return Source(file_digest(folder / "store.json"))
    of_this_configuration(settings, known, remedy)
    if perturbation(settings, folder.name) and _PERTURBED not in all_settings(known):
        raise InputError(
            f"{folder} ({known.kind}): holds the set as it was recorded",
            expected="the set as features.perturb of this command alters it",
            remedy="asr-hf features and asr-hf align with the same overrides",
        )
    return known.source


def features_fit(features: Source, about: Mapping[str, Any], model: Path) -> None:
    """Check that features were made with the same settings as those that a model was trained on.

    Args:
        features: source that stands for a feature folder or a frame store.
        about: description of its training in the model file.
        model: model file.

    Raises:
        InputError: the settings differ.
    """
    trained = about.get("features")
    if not isinstance(trained, Mapping):
        return
    recorded = {
        key: value
        for key, value in all_settings(features).items()
        if key.startswith("features.")
        and key.removeprefix("features.") in trained
        # How recordings came to the sample rate is none of the network's business.
        and key != "features.resample"
    }
    changed = [
        f"{key}: {in_training} -> {value}"
        for key, value in sorted(recorded.items())
        if (in_training := trained[key.removeprefix("features.")]) != value
        and in_training is not None
    ]
    if about.get("global_stats") is not None and features.folder:
        present = _global_stats(Path(features.folder))
        if present is not None and present != about["global_stats"]:
            changed.append("features.cmvn=online: statistics of another training set")
    if changed:
        raise InputError(
            f"{features.folder}: other features than {model} was trained on:\n{indented(changed)}",
            expected="those of its training",
            remedy="make them again with the settings of the run: asr-hf features, asr-hf align",
        )


def _global_stats(folder: Path) -> Any:
    """Return the statistics of the training set that online CMVN of a folder started from."""
    if (folder / "store.json").is_file():
        return (read_json(folder / "store.json").get("features") or {}).get("global_stats")
    return read_json(folder / "fbank.json").get("global_stats")


def states_fit(states: str, about: Mapping[str, Any], model: Path, hmms: Path) -> None:
    """Check that HMM states are those that a model's outputs stand for.

    Args:
        states: digest of the HMM states that decoding uses.
        about: description of its training in the model file.
        model: model file.
        hmms: folder of the HMM system.

    Raises:
        InputError: the outputs stand for other states.
    """
    trained = about.get("states")
    if trained is not None and trained != states:
        raise InputError(
            f"{model}: its outputs stand for other HMM states than those in {hmms}",
            expected="phones, topology and tree as they were when it was trained",
            remedy="align with the settings that it was trained with (alignment=...), or train "
            "again on these states",
        )
