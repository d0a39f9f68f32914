"""The verbs of `asr-hf`, each a module of this room."""

from __future__ import annotations

VERBS = {
    "prepare": "make the data directories, lexicon and language model of a corpus",
    "validate": "check data directories, stores and runs; list every fault",
    "features": "extract filterbank features and CMVN statistics",
    "align": "train a GMM from a flat start, align, and pack the training data",
    "train": "train an acoustic model (-m sweeps)",
    "adapt": "adapt a trained model to other speech; print word errors before and after",
    "lattices": "make lattices for sequence training",
    "decode": "tune on dev, decode the test sets",
    "score": "count word errors of what was decoded",
    "pack": "put all that transcribe needs of a run into one file",
    "transcribe": "write down what is said in recordings of any kind",
    "compare": "compare runs: curves, settings, word errors with a paired test",
    "export": "write a trained model, or its scores, for other programs",
    "example": "make a folder of recordings with a table, to try asr-hf on",
    "config": "print the resolved configuration of any command",
    "info": "print versions, devices, and what data and runs there are",
    "completion": "print a completion script for bash, zsh or fish",
}
