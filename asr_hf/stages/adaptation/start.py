"""Checks, before the work, that a run can be adapted to a corpus."""

from __future__ import annotations

from asr_hf.data.cmvn import CmvnMode
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.stages.features import fbank_options
from asr_hf.stages.sources.external import alignments_from_outside
from asr_hf.stages.sources.layout import prepared_corpus, system_folder
from asr_hf.training.model_file import FILE_NAME, load_model

SAME = "same"


def keeps_states(settings: Settings) -> bool:
    """Return whether the adapted network has the states of the old one."""
    return settings.adapt.states == SAME


def check_start(settings: Settings, old: Settings) -> None:
    """Refuse a run that cannot be adapted, and a corpus in whose place another one stands.

    Args:
        settings: settings of the command.
        old: settings of the run that is adapted.

    Raises:
        InputError: there is no such model, or it was trained on what new recordings lack; the
            command would write into the old run or its corpus, or decode a set that is not there.
    """
    run = old.run_dir
    load_model(run / FILE_NAME, old.model.target)
    if old.corpus.kaldi is not None or old.features.transforms is not None:
        raise InputError(
            f"{run}: its features were made elsewhere (corpus {old.corpus.name!r})",
            expected="a run on features that asr-hf features made, without features.transforms",
            remedy="train one with table=FILE or another recipe that has audio",
        )
    if settings.run_dir == run:
        raise InputError(
            f"name={settings.name}: this is the run that is adapted",
            expected="a run folder for the adapted network",
            remedy="name=OTHER",
        )
    if settings.corpus.dir == old.corpus.dir:
        raise InputError(
            f"{settings.corpus.dir}: {run} was trained on the corpus in this folder",
            expected="a folder of its own for the new corpus",
            remedy="corpus.name=OTHER, or paths.data=DIR",
        )
    for name in dict.fromkeys((settings.decode.tune_on, *settings.decode.sets)):
        if name not in settings.corpus.sets:
            raise InputError(
                f"decode.sets, decode.tune_on: the corpus {settings.corpus.name!r} has no set "
                f"{name!r}",
                expected=f"some of {', '.join(settings.corpus.sets)}",
                remedy=f"decode.sets=[{settings.corpus.heldout_set}]",
            )
    if keeps_states(settings):
        _check_states(old)


def _check_states(old: Settings) -> None:
    """Refuse a run whose states or normalisation another corpus cannot have.

    Raises:
        InputError: its HMMs are not asr-hf's own, its outputs are no posteriors, or its features
            start from the statistics of its own training set.
    """
    run, system = old.run_dir, system_folder(old)
    if alignments_from_outside(old) or not (system / "hmm.json").is_file():
        raise InputError(
            f"{run}: no HMM system of asr-hf's own in {system}, so nothing says what its outputs "
            "stand for",
            expected="a run on labels that asr-hf align made, with its corpus in place",
            remedy="adapt.states=new keeps its hidden layers alone",
        )
    if old.alignment.chain is not None:
        raise InputError(
            f"{run}: its outputs are log likelihoods of lattice-free MMI, and adaptation goes by "
            "posteriors of the same states",
            expected="a run of criterion=cross_entropy, or of a sequence criterion after it",
            remedy="adapt.states=new keeps its hidden layers alone",
        )
    if old.features.cmvn == CmvnMode.ONLINE:
        raise InputError(
            f"{run}: features.cmvn=online: its features start from the statistics of its own "
            "training set, which another corpus cannot have yet",
            expected="features.cmvn=speaker, utterance or none",
            remedy="adapt a run with one of these, or adapt.states=new",
        )


def check_rate(settings: Settings) -> None:
    """Refuse recordings that lack the upper part of what the network hears.

    Args:
        settings: settings of the command, with the sample rate of the run that is adapted.

    Raises:
        InputError: most recordings have a lower sample rate.
    """
    wanted = fbank_options(settings).sample_rate
    found = prepared_corpus(settings.corpus.dir).get("sample_rate")
    if isinstance(found, int) and found < wanted:
        raise InputError(
            f"{settings.corpus.dir}: recordings of {found} Hz",
            expected=f"{wanted} Hz or more, as {settings.init_from} was trained on",
            remedy="take a run that was trained at that rate, or recordings of a higher one",
        )


def check_old_sets(settings: Settings, old: Settings) -> None:
    """Refuse names in `adapt.old_sets` of sets that the old corpus does not have.

    Raises:
        InputError: there is no such set.
    """
    for name in settings.adapt.old_sets:
        if name not in old.corpus.sets:
            raise InputError(
                f"adapt.old_sets: the corpus {old.corpus.name!r} has no set {name!r}",
                expected=f"some of {', '.join(old.corpus.sets)}, or none: adapt.old_sets=[]",
            )
