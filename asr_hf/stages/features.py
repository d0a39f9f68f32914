"""Extract filterbank features of every set of a corpus."""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import partial
from typing import Any

from asr_hf.data.cmvn import CmvnMode
from asr_hf.data.extract import extract_features
from asr_hf.data.fbank import FbankOptions
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.online_cmvn import OnlineCmvn, OnlineCmvnOptions
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.kaldi_sets import refuse_kaldi
from asr_hf.stages.sources.layout import (
    chosen_by,
    features_folder,
    perturbed_folder,
    prepared_corpus,
)
from asr_hf.stages.sources.sets import perturbation

log = logging.getLogger(__name__)


def run(settings: Settings) -> dict[str, Any]:
    """Write <corpus.dir>/fbank/<set> for each of the corpus's sets.

    The training set as `features.perturb` alters it goes to <corpus.dir>/fbank-perturbed.

    Args:
        settings: settings of the command.

    Returns:
        What `extract_features` returns of each set as it was recorded, by the name of the set.

    Raises:
        InputError: a set is missing, or too much of its audio is unusable.
    """
    refuse_kaldi(settings, "features")
    root = settings.corpus.dir
    options = fbank_options(settings)
    results: dict[str, Any] = {}
    online: OnlineCmvnOptions | OnlineCmvn | None = online_options(settings)
    train = settings.corpus.train_set
    # Online CMVN of all sets starts from the training set's statistics.
    for name in sorted(settings.corpus.sets, key=lambda name: name != train):
        if not (root / name).is_dir():
            raise InputError(
                f"{root / name}: there is no set {name!r} of corpus {settings.corpus.name!r}",
                expected=settings.corpus.needs.strip(),
                remedy=f"asr-hf prepare {chosen_by(settings)}",
            )
        extract = partial(
            extract_features,
            DataDir.read(root / name),
            options=options,
            cmvn=settings.features.cmvn,
            jobs=settings.features.jobs,
            max_skipped=settings.features.max_skipped,
            allow_pipes=settings.features.allow_pipes,
            resample=settings.features.resample,
        )
        if online is not None and name != train:
            online = _with_statistics(settings, online, results)
        results[name] = extract(features_folder(settings, name), online=online)
        if (chosen := perturbation(settings, name)) is not None:
            folder = perturbed_folder(settings, name)
            if online is not None:
                online = _with_statistics(settings, online, results)
            altered = extract(folder, perturbation=chosen, online=online)
            minutes = altered["frames"] * options.frame_shift / 60_000
            log.info("%s: %d utterances, %.1f minutes", folder, altered["utterances"], minutes)
    return results


def online_options(settings: Settings) -> OnlineCmvnOptions | None:
    """Return the options of online CMVN; None with another `features.cmvn`.

    Raises:
        InputError: there is no such window.
    """
    if settings.features.cmvn != CmvnMode.ONLINE:
        return None
    return OnlineCmvnOptions(**asdict(settings.features.online_cmvn))


def _with_statistics(
    settings: Settings, online: OnlineCmvnOptions | OnlineCmvn, results: dict[str, Any]
) -> OnlineCmvn:
    """Return online CMVN with the statistics of the training set, which comes first.

    Raises:
        InputError: the corpus has no training set.
    """
    if isinstance(online, OnlineCmvn):
        return online
    train = settings.corpus.train_set
    if train not in results:
        raise InputError(
            f"features.cmvn=online: no set {train!r}, whose statistics all sets start from",
            expected=f"{train} among corpus.sets",
            remedy="prepare the training set too, or take another features.cmvn",
        )
    return OnlineCmvn.of(results[train])


def fbank_options(settings: Settings) -> FbankOptions:
    """Return the filterbank options of a configuration.

    Without `features.sample_rate`, the sample rate is that of corpus.json.

    Raises:
        InputError: neither of them says the sample rate.
    """
    names = FbankOptions.__dataclass_fields__
    options = {k: v for k, v in asdict(settings.features).items() if k in names}
    if options["sample_rate"] is None:
        folder = settings.corpus.dir
        options["sample_rate"] = prepared_corpus(folder).get("sample_rate")
    if options["sample_rate"] is None:
        raise InputError(
            f"features.sample_rate=null, and {folder}/corpus.json says nothing of it",
            expected="a corpus that asr-hf prepare made",
            remedy=f"asr-hf prepare {chosen_by(settings)}, or set features.sample_rate",
        )
    return FbankOptions(**options)
