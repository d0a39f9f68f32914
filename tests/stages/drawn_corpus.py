"""A small drawn corpus in two languages, aligned, with the GMM's scores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from asr_hf.data.ark import ArkReader, ArkWriter
from asr_hf.data.cmvn import cmvn_stats
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.hmm.alignment.corpus import speaker_features
from asr_hf.hmm.system import HmmSystem
from asr_hf.stages import align

from ..typed import typed

WORDS = {
    language: {f"{language}{a}{b}": f"{language}_{a} {language}_{b}" for a in "pq" for b in "rs"}
    for language in ("en", "fr")
}
SETS = {"train": 40, "dev": 8, "test": 8}
BINS = 20


def draw_set(root: Path, name: str, count: int, shapes: dict[str, np.ndarray], seed: int) -> None:
    random = np.random.default_rng(seed)
    utterances, folder = [], root / "fbank" / name
    with ArkWriter(folder, "feats") as feats, ArkWriter(folder, "cmvn") as cmvn:
        for number in range(count):
            language = ("en", "fr")[number % 2]
            words = list(random.choice(sorted(WORDS[language]), 3))
            phones = ["sil", *" ".join(WORDS[language][w] for w in words).split(), "sil"]
            means = np.concatenate([shapes[phone] for phone in phones])
            frames = np.repeat(means, random.integers(2, 6, len(means)), axis=0)
            fbank = (frames + random.normal(size=frames.shape)).astype(np.float32)
            key = f"{name}{number:02d}"
            feats.write(key, fbank)
            cmvn.write(key, cmvn_stats(fbank))
            utterances.append(
                Utterance(key, f"s{number % 2}", key, text=" ".join(words), language=language)
            )
    about = {"cmvn": "utterance", "utterances": count, "options": {}, "format": "asr-hf-fbank-1"}
    (folder / "fbank.json").write_text(json.dumps(about))
    DataDir(root / name, utterances, {u.id: f"{u.id}.wav" for u in utterances}).write()


def write_language(root: Path, language: str) -> None:
    folder = root / "lang" / language
    folder.mkdir(parents=True)
    words = WORDS[language]
    (folder / "lexicon.txt").write_text("".join(f"{w} {p}\n" for w, p in words.items()))
    unigrams = "".join(f"-0.7\t{w}\n" for w in (*words, "</s>"))
    (folder / "lm.arpa").write_text(
        f"\\data\\\nngram 1={len(words) + 2}\n\n\\1-grams:\n-99\t<s>\n{unigrams}\n\\end\\\n"
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    random = np.random.default_rng(0)
    names = ["sil", *(f"{language}_{p}" for language in ("en", "fr") for p in "pqrs")]
    shapes = {n: random.normal(0, 3, (5 if n == "sil" else 3, BINS)) for n in names}
    for seed, (name, count) in enumerate(SETS.items()):
        draw_set(root, name, count, shapes, seed)
    for language in WORDS:
        write_language(root, language)
    align.run(typed(configuration(root)))
    return root


def configuration(root: Path) -> DictConfig:
    return OmegaConf.create(
        {
            "run_dir": str(root / "exp"),
            "corpus": {
                "name": "drawn",
                "dir": str(root),
                "sets": list(SETS),
                "train_set": "train",
                "languages": list(WORDS),
            },
            "features": {"frame_shift": 10.0, "dtype": "float32"},
            "alignment": {
                "iterations": 12,
                "gaussians": 60,
                "max_utterances": 1000,
                "acoustic_scale": 0.5,
                "beam": 20.0,
                "retry_beam": 80.0,
                "jobs": 2,
                "from_ark": None,
                "num_pdfs": None,
                "from_run": None,
                "tree": None,
                "system": "align",
                "tag": None,
                "max_skipped": 0.2,
                "seed": 0,
            },
            "decode": {
                "sets": ["dev", "test"],
                "tune_on": "dev",
                "acoustic_scales": [0.2, 0.5],
                "lm_scales": [1.0],
                "insertion_penalties": [0.0, 1.0],
                "beam": 20.0,
                "lattice_beam": 12.0,
                "lattice_scale": 0.3,
                "max_active": 2000,
                "max_arcs_per_frame": None,
                "choose": 0,
                "jobs": 1,
                "max_skipped": 0.2,
            },
        }
    )


def copied(drawn: Path, copy: Path) -> Path:
    """Copy the corpus, with its own paths, to a folder that is not there yet."""
    shutil.copytree(drawn, copy)
    for scp in copy.rglob("*.scp"):
        scp.write_text(scp.read_text().replace(str(drawn), str(copy)))
    return copy


@pytest.fixture
def root(drawn: Path, tmp_path: Path) -> Path:
    return copied(drawn, tmp_path / "corpus")


def scores_of(root: Path, folder: str = "align"):
    system = HmmSystem.load(root / folder)
    scorer = system.gmm.scorer()

    def scores(name):
        fbank = ArkReader(root / "fbank" / name / "feats.scp")
        for utterance, features in speaker_features(DataDir.read(root / name), fbank):
            yield utterance, scorer.log_likelihoods(features)

    return scores


def times(root: Path) -> dict[Path, int]:
    made = [p for part in ("align", "store") for p in (root / part).rglob("*") if p.is_file()]
    return {path: path.stat().st_mtime_ns for path in made}


def tied(root: Path) -> DictConfig:
    config = configuration(root)
    tree = {"states": 60, "gaussians": 90, "passes": 7, "max_utterances": 30}
    config.alignment.update({"tree": tree, "system": "align-tied", "tag": "tied"})
    return config
