"""Packs frame stores of alignments, and perhaps features, that were made elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from asr_hf.data.alignment import Alignments
from asr_hf.data.cmvn import CmvnMode, CmvnOptions
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.online_cmvn import OnlineCmvn, OnlineCmvnOptions
from asr_hf.kaldi.alignments import read_alignments
from asr_hf.kaldi.features import file_stamps, link_features, online_cmvn, processing
from asr_hf.kaldi.options import read_cmvn_options
from asr_hf.kaldi.transforms import (
    FeatureTransforms,
    option_file,
    transform_files,
    unapplied_transforms,
)
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json
from asr_hf.runtime.provenance import Source
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.kaldi_sets import decode_data, kaldi_sets
from asr_hf.stages.sources.layout import features_folder, store_folder, subsampling
from asr_hf.stages.sources.packing import pack
from asr_hf.stages.sources.perturbed import TrainedOn, frame_grid

log = logging.getLogger(__name__)


class _NothingAligned(Exception):
    """No utterance of a set has an alignment, though others have."""


def alignments_from_outside(settings: Settings) -> bool:
    """Return whether alignments are made elsewhere, as in any corpus in Kaldi's folders."""
    alignment = settings.alignment
    named = alignment.from_ark is not None or alignment.from_kaldi is not None
    return named or settings.corpus.kaldi is not None


def pack_external(settings: Settings) -> dict[str, Any]:
    """Pack the store of every set that has alignments; keep the stores that are current.

    Args:
        settings: settings of the command.

    Returns:
        The number of pdfs; and for each set its numbers of utterances and frames, and the skipped
        utterances.

    Raises:
        InputError: data are missing or damaged, or the training set has no alignments.
    """
    if settings.alignment.from_kaldi is None and settings.alignment.from_ark is None:
        raise InputError(
            "alignment.from_kaldi=null: a corpus of Kaldi's has no other alignments",
            expected=settings.corpus.needs,
            remedy="alignment.from_kaldi=exp/tri4_ali, for example",
        )
    if (every := subsampling(settings)) > 1:
        raise InputError(
            f"model.subsampling={every}: alignments from outside give no states for that",
            expected="model.subsampling=1, or alignments of asr-hf's own",
        )
    sets = _data(settings)
    alignments = cache(lambda: _alignments(settings))
    packed = {name: _packed(settings, name, data, alignments) for name, data in sets.items()}
    needed = [settings.corpus.train_set]
    if settings.corpus.kaldi is not None:
        needed.append(settings.corpus.heldout_set)
    for name in needed:
        if packed[name] is None:
            raise InputError(
                f"{_source(settings)}: no alignment of any utterance of {name}",
                expected="keys that are utterance ids",
                remedy="check that alignments and data directory belong together",
            )
    aligned = {name: summary for name, summary in packed.items() if summary is not None}
    pdfs = aligned[settings.corpus.train_set]["num_pdfs"]
    return {"pdfs": pdfs, "gaussians": None, "sets": aligned}


def pack_decode_data(settings: Settings, names: Iterable[str]) -> None:
    """Pack those of the sets `names` that `corpus.decode_data` lists; keep the current stores.

    These sets need no alignments, and settings may name them after training only.

    Args:
        settings: settings of the command.
        names: names of sets; other sets than those of `corpus.decode_data` are left alone.

    Raises:
        InputError: data are missing or damaged.
    """
    chosen = set(names)
    sets = {name: data for name, data in decode_data(settings).items() if name in chosen}
    _link(settings, sets)
    for name, data in sets.items():
        _check_as_trained(settings, name)
        _packed(settings, name, data, lambda: _alignments(settings))


def _data(settings: Settings) -> dict[str, DataDir]:
    """Read the sets of the corpus; write links to the features of sets in Kaldi's folders."""
    corpus = settings.corpus.dir
    sets = kaldi_sets(settings)
    if not sets:
        return {name: DataDir.read(corpus / name) for name in settings.corpus.sets}
    _link(settings, sets)
    if settings.alignment.from_kaldi is not None and not transform_paths(settings):
        for folder in alignment_folders(settings):
            if names := unapplied_transforms(folder):
                message = "%s: its %s change nothing here; features.transforms=%s applies them"
                log.info(message, folder, ", ".join(names), folder)
    return sets


def _link(settings: Settings, sets: Mapping[str, DataDir]) -> None:
    """Write links to the features of sets that lie in Kaldi's folders."""
    if not sets:
        return
    mode, options = _cmvn(settings)
    online = _online(settings) if mode is CmvnMode.ONLINE else None
    folders: dict[Path, list[Path]] = {}
    for name, data in sets.items():
        folders.setdefault(data.path, []).append(settings.corpus.dir / "fbank" / name)
    for source, of_sets in folders.items():
        allow_pipes = settings.features.allow_pipes
        transformed = bool(transform_paths(settings))
        link_features(source, of_sets, mode, options, allow_pipes, transformed, online)


def _online(settings: Settings) -> OnlineCmvn:
    """Return online CMVN with the statistics of the training set, asr-hf's own or Kaldi's.

    Raises:
        InputError: there are no such statistics.
    """
    kaldi, name = settings.corpus.kaldi, settings.corpus.train_set
    folder = features_folder(settings, name)
    if kaldi is None or kaldi.train_data is None:
        about = read_json(folder / "fbank.json")
        try:
            return OnlineCmvn.of(about)
        except ValueError as error:
            raise InputError(
                f"{folder}: features.cmvn=online, but {error}",
                remedy="asr-hf features with the same overrides",
            ) from error
    options = OnlineCmvnOptions(**asdict(settings.features.online_cmvn))
    return online_cmvn(kaldi.train_data, folder, options, settings.features.allow_pipes)


def _check_as_trained(settings: Settings, name: str) -> None:
    """Refuse to process the features of a set in another way than those of training.

    Raises:
        InputError: the processing differs.
    """
    trained = store_folder(settings, settings.corpus.train_set) / "store.json"
    if not trained.is_file():
        return
    expected = processing(read_json(trained).get("features") or {})
    actual = processing(read_json(settings.corpus.dir / "fbank" / name / "fbank.json"))
    if differing := [key for key in expected if actual[key] != expected[key]]:
        raise InputError(
            f"corpus.decode_data.{name}: features with "
            f"{', '.join(f'{key}={actual[key]}' for key in differing)}",
            expected=f"{', '.join(f'{key}={expected[key]}' for key in differing)}, as in "
            f"{trained.parent}",
            remedy="give this command the overrides of training, alignment.from_kaldi, "
            "features.transforms and corpus.norm_vars among them",
        )


def _cmvn(settings: Settings) -> tuple[CmvnMode, CmvnOptions]:
    """Return the normalisation of Kaldi's features, which cmvn_opts of their system says.

    Transforms were estimated on features that were normalised in one way. Without transforms,
    `corpus.norm_vars` chooses another than that of the alignments' system.

    Raises:
        InputError: folders contradict one another, or the configuration contradicts transforms.
    """
    mode, kaldi = CmvnMode(settings.features.cmvn), settings.corpus.kaldi
    if kaldi is None or mode is CmvnMode.ONLINE:
        # Features that asr-hf made are normalised in mean and variance.
        return mode, CmvnOptions()
    chosen = kaldi.norm_vars
    transforms = [path for path in transform_paths(settings) if path.is_dir()]
    folders = transforms
    if not transforms and chosen is None and settings.alignment.from_kaldi is not None:
        folders = alignment_folders(settings)
    files = dict.fromkeys(option_file(path, "cmvn_opts") for path in folders)
    options = {path: read_cmvn_options(path) for path in files}
    for path, cmvn in options.items():
        first = next(iter(options))
        if cmvn != options[first]:
            raise InputError(
                f"{path}: other options than in {first}",
                expected="one way of normalising all features (or no file, for Kaldi's defaults)",
                remedy="name folders of one system; without transforms, corpus.norm_vars decides",
            )
        if chosen is not None and chosen != cmvn.options.norm_vars:
            raise InputError(
                f"corpus.norm_vars={str(chosen).lower()}: the transforms were estimated otherwise",
                expected=f"--norm-vars={str(cmvn.options.norm_vars).lower()}, as {path} says",
                remedy="leave corpus.norm_vars out",
            )
    if not options:
        return mode, CmvnOptions(norm_vars=bool(chosen))
    path, cmvn = next(iter(options.items()))
    if not cmvn.norm_means and mode is not CmvnMode.NONE:
        log.info("%s: --norm-means=false: features are taken as they are", path)
        mode = CmvnMode.NONE
    return mode, cmvn.options


def _packed(
    settings: Settings, name: str, data: DataDir, alignments: Callable[[], Alignments]
) -> dict[str, Any] | None:
    """Pack the store of a set unless it is current; return its summary, None without alignments."""
    paths = transform_paths(settings)
    transform = FeatureTransforms.open(paths).apply if paths else None
    trained_on = TrainedOn.of(settings, name, data)
    data, folder = trained_on.data, trained_on.folder
    sources = {
        "features": trained_on.source,
        "speakers": Source.of_values([[u.id, u.speaker] for u in data.utterances]),
    }
    if paths:
        sources["transforms"] = Source.of_values(file_stamps(transform_files(paths)))
    if _only_decoded(settings, name):
        return pack(settings, name, data, folder, None, sources, transform, only_decoded=True)

    def of_this_set() -> Alignments:
        pdfs = {u.id: alignments().pdfs[u.id] for u in data.utterances if u.id in alignments().pdfs}
        if not pdfs:
            raise _NothingAligned
        given = Alignments(pdfs, alignments().num_pdfs)
        return trained_on.aligned(given, frame_grid(settings))

    sources["alignments"] = _alignments_source(settings)
    try:
        return pack(settings, name, data, folder, of_this_set, sources, transform)
    except _NothingAligned:
        log.warning("%s: no alignment of any utterance of %s", _source(settings), name)
        return None


def _only_decoded(settings: Settings, name: str) -> bool:
    return name in (settings.corpus.decode_data or {})


def _alignments(settings: Settings) -> Alignments:
    options = settings.alignment
    if options.from_kaldi is not None:
        return read_alignments(alignment_folders(settings))
    assert options.from_ark is not None
    return Alignments.from_kaldi(options.from_ark, options.num_pdfs)


def alignment_folders(settings: Settings) -> list[Path]:
    """Return the folders of `alignment.from_kaldi`, which may name one or several."""
    return list(settings.alignment.from_kaldi or ())


def transform_paths(settings: Settings) -> list[Path]:
    """Return the folders and archives of `features.transforms`, in their order."""
    return list(settings.features.transforms or ())


def _source(settings: Settings) -> str:
    if settings.alignment.from_kaldi is None:
        return str(settings.alignment.from_ark)
    return ", ".join(map(str, alignment_folders(settings)))


def _alignments_source(settings: Settings) -> Source:
    """Return the source that identifies the alignments by sizes and times of change of files."""
    options = settings.alignment
    if options.from_kaldi is None:
        assert options.from_ark is not None
        files = [options.from_ark]
    else:
        files = [
            path for folder in alignment_folders(settings) for path in sorted(folder.glob("*"))
        ]
    return Source.of_values(file_stamps(files), options.num_pdfs)
