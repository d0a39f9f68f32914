"""Adapt a trained network to other speech: a voice, a channel, new words or a new language.

commonest use: asr-hf adapt exp/first table=mine.tsv
usual time:    minutes, because it runs all steps from prepare to score

usage: asr-hf adapt exp/RUN table=FILE [name=NAME] [key=value ...]
       asr-hf adapt exp/RUN table=FILE adapt.states=new [alignment=OPTION] [key=value ...]

A few minutes of transcribed speech are enough. The command prepares the table, extracts features
like those of the run, aligns, trains from the run's network, and decodes. Then it prints word error
rates before and after, of the new sets and of the run's own test set. It keeps what is there
already, so the same command continues what was cut off. The new network is in exp/NAME, by default
in exp/RUN-<corpus>. The command only reads the old run, but decodes it if nobody has done so yet.

adapt.states=same (the default) keeps phones, HMM states and output layer. The run's network aligns
the new speech. trainer.pull_fisher holds the network to what its own training set needs of it. If
the frames of that set are gone, trainer.pull holds all parameters alike. Language, dictionary and
text of the language model are those of the run's corpus, unless corpus.languages, corpus.lexicon
and corpus.lm_text name others.

adapt.states=new is for other phones, states or another language. The new speech gets an alignment
of its own, and the network a new output layer above the hidden layers of the old one.
"""

from __future__ import annotations

from omegaconf import OmegaConf

from asr_hf.cli.adaptation import PULL_FISHER, adaptation
from asr_hf.cli.one_run import say_where, train
from asr_hf.cli.stage import run_stage
from asr_hf.cli.typed import settings_of
from asr_hf.report.adaptation import terminal_table


def run(arguments: list[str]) -> None:
    """Run the verb with its arguments.

    Raises:
        InputError: there is no such run, it cannot be adapted, or the new corpus does not fit it.
    """
    task = adaptation(arguments)
    # Late, so that errors in overrides do not wait for torch.
    from asr_hf.stages.adaptation.fisher import can_measure, keep_fisher
    from asr_hf.stages.adaptation.start import check_old_sets, check_rate, check_start
    from asr_hf.stages.adaptation.words import decoding_weights, not_decoded, recorded_search

    settings, old = settings_of(task.new), settings_of(task.old)
    check_start(settings, old)
    if not can_measure(settings, old, asked=PULL_FISHER in task.given):
        task.leave_fisher()
    if task.same:
        check_old_sets(settings, old)
        for key, value in recorded_search(old.run_dir).items():
            OmegaConf.update(task.old, key, value, merge=False)
    if settings.corpus.recipe is not None:
        run_stage("prepare", task.new)
    check_rate(settings)
    run_stage("features", task.new)
    aligned = run_stage("align", task.new)["sets"][settings.corpus.train_set]
    minutes = aligned["frames"] * settings.features.frame_shift / 60_000
    print(f"{settings.corpus.dir}: {minutes:.1f} minutes of speech to adapt to")
    task.take_pull(aligned["frames"])
    if task.same:
        missing = not_decoded(old.run_dir, settings.adapt.old_sets)
        if missing or not (old.run_dir / "decode" / "best.json").is_file():
            OmegaConf.update(task.old, "decode.sets", missing, merge=False)
            run_stage("decode", task.old)
        task.take_weights(dict(decoding_weights(old.run_dir)))
    keep_fisher(settings_of(task.new), settings_of(task.old))
    train(task.new)
    for verb in ("decode", "score"):
        run_stage(verb, task.new)
    print(terminal_table(run_stage("adapt", task.new, old=settings_of(task.old))["rows"]))
    say_where(task.new.run_dir)
