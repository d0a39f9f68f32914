"""Extract filterbank features of every set of a corpus."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from asr_hf.data.extract import extract_features
from asr_hf.data.fbank import FbankOptions
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.kaldi_sets import refuse_kaldi
from asr_hf.stages.sources.layout import chosen_by, prepared_corpus


def run(settings: Settings) -> dict[str, Any]:
    """Write <corpus.dir>/fbank/<set> for each of the corpus's sets.

    Args:
        settings: settings of the command.

    Returns:
        What `extract_features` returns, by the name of the set.

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
        results[name] = extract_features(
            DataDir.read(root / name),
            root / "fbank" / name,
            options,
            cmvn=settings.features.cmvn,
            jobs=settings.features.jobs,
            max_skipped=settings.features.max_skipped,
            allow_pipes=settings.features.allow_pipes,
            resample=settings.features.resample,
        )
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
