"""Train an acoustic model; the same command continues a run that was cut off.

Writes exp/<name>/: config.yaml, events.jsonl, checkpoints, model.safetensors, result.json,
report.html and TensorBoard files. With decode.after_training=true it also decodes and scores.
With -m (or --multirun) every comma-separated override is swept and a table is printed.
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config


def run(arguments: list[str]) -> None:
    """Train once, or sweep."""
    if {"-m", "--multirun"} & set(arguments):
        from asr_hf.cli.sweep import sweep

        sweep([a for a in arguments if a not in ("-m", "--multirun")])
        return
    from asr_hf.stages import train

    train.run(load_config(arguments))
