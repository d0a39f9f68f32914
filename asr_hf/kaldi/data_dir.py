"""Reads Kaldi's data directories that come with features and need no audio."""

from __future__ import annotations

from pathlib import Path

from asr_hf.data.kaldi_dir import DataDir, Utterance, read_table
from asr_hf.runtime.errors import InputError


def read_kaldi_dir(path: Path) -> DataDir:
    """Read the utterances of a directory that has `utt2spk` and `feats.scp`; no audio is needed.

    Returns:
        The data directory, without recordings.

    Raises:
        InputError: a file is missing or damaged.
    """
    for name in ("utt2spk", "feats.scp"):
        if not (path / name).is_file():
            raise InputError(
                f"{path}/{name}: there is no such file",
                expected="a Kaldi data directory with features: utt2spk, feats.scp, cmvn.scp",
                remedy="name another folder, or make the features with Kaldi's make_fbank.sh",
            )
    speakers = read_table(path / "utt2spk")
    texts = read_table(path / "text", optional=True, empty_values=True)
    utterances = [
        Utterance(name, speakers[name], recording=name, text=texts.get(name))
        for name in sorted(speakers, key=str.encode)
    ]
    return DataDir(path, utterances, {})
