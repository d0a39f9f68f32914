"""Extract filterbank features of every set of a corpus."""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import partial
from typing import Any

from asr_hf.data.extract import extract_features
from asr_hf.data.fbank import FbankOptions
from asr_hf.data.kaldi_dir import DataDir
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
    results = {}
    for name in settings.corpus.sets:
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
        results[name] = extract(features_folder(settings, name))
        if (chosen := perturbation(settings, name)) is not None:
            folder = perturbed_folder(settings, name)
            altered = extract(folder, perturbation=chosen)
            minutes = altered["frames"] * options.frame_shift / 60_000
            log.info("%s: %d utterances, %.1f minutes", folder, altered["utterances"], minutes)
    return results


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
