"""Train an acoustic model; the same command continues a run that was cut off.

commonest use: asr-hf train +recipe=prompts name=first +preset=kfac
usual time:    about a minute for 24 minutes of recordings on two cores; the log gives an estimate

usage: asr-hf train [-m] +recipe=NAME [group=OPTION ...] [key=value ...]

The command writes exp/<name>/: config.yaml, events.jsonl, checkpoints, model.safetensors,
result.json, report.html and TensorBoard files. With decode.after_training=true it also decodes and
scores. SIGTERM and SIGUSR1 end a run with a checkpoint and exit code 75.

With -m (or --multirun) it sweeps every override that lists several values (trainer=hf,sgd). Each
combination is a run in exp/<name>/<swept overrides>, and exp/<name>/sweep.md compares them.

runtime.processes=N shares the work of HF among N processes. On several machines, start it with
torchrun ... -m asr_hf train.
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config
from asr_hf.cli.one_run import after_training, say, train
from asr_hf.cli.processes import launched, train_as_rank


def run(arguments: list[str]) -> None:
    """Train once, or sweep; under torchrun, be one of the processes that train."""
    if launched():
        train_as_rank(arguments, lambda config, result: say(config, after_training(config, result)))
        return
    if {"-m", "--multirun"} & set(arguments):
        from asr_hf.cli.sweep import sweep

        sweep([a for a in arguments if a not in ("-m", "--multirun")])
        return
    config = load_config(arguments)
    say(config, train(config))
