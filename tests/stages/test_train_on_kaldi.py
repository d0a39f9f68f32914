"""Training on a Kaldi experiment as it lies, with one command."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import kaldiio
import numpy as np
import pytest
from omegaconf import OmegaConf

from asr_hf.cli.compose import load_config
from asr_hf.cli.main import main
from asr_hf.data.store import FrameStore
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.events import read_events
from asr_hf.runtime.files import read_json
from asr_hf.stages import features, prepare
from asr_hf.stages.sources.external import pack_external

from ..kaldi.experiments import (
    DIM,
    Experiment,
    arguments,
    make_experiment,
    speaker,
    write_alignments,
)
from ..typed import typed


@pytest.fixture
def experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: SimpleNamespace
) -> Iterator[Experiment]:
    made = make_experiment(tmp_path / "s5", real, binary=True)
    monkeypatch.chdir(made.root)
    yield made


def train(*more: str) -> int:
    return main(["train", *arguments(*more)])


def stores(root: Path) -> dict[str, FrameStore]:
    return {n: FrameStore.open(root / "stores/kaldi/store" / n) for n in ("train", "dev")}


def expected(experiment: Experiment, real: SimpleNamespace) -> dict[str, tuple[np.ndarray, ...]]:
    """Means of the speaker removed; pdfs by Kaldi's own table."""
    pdf_of = np.asarray(real.transitions.transition_id_to_pdf_array())
    means = {}
    for name in experiment.features:
        mine = [f for n, f in experiment.features.items() if speaker(n) == speaker(name)]
        means[name] = np.concatenate(mine).astype(np.float64).mean(0)
    return {n: (f - means[n], pdf_of[experiment.ids[n]]) for n, f in experiment.features.items()}


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_one_command_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: SimpleNamespace, binary: bool
) -> None:
    made = make_experiment(tmp_path / "s5", real, binary)
    monkeypatch.chdir(made.root)
    assert train() == 0
    assert read_json(made.root / "exp/kaldi/result.json")["iterations"] == 1
    right, seen = expected(made, real), set()
    for store in stores(made.root).values():
        for unit, name in enumerate(store.utterances):
            batch = store.read(np.array([unit]))
            np.testing.assert_allclose(batch.features.numpy(), right[name][0], atol=1e-5)
            np.testing.assert_array_equal(batch.labels.numpy(), right[name][1])
            seen.add(name)
    assert seen == set(made.features)
    held = {speaker(n) for n in stores(made.root)["dev"].utterances}
    assert held and not held & {speaker(n) for n in stores(made.root)["train"].utterances}


def test_stores_are_kept_until_the_alignments_change(experiment: Experiment) -> None:
    assert train() == 0
    marker = experiment.root / "stores/kaldi/store/train/store.json"
    before = marker.stat().st_mtime_ns
    assert train("name=again") == 0
    assert marker.stat().st_mtime_ns == before
    ids = {name: i[::-1] for name, i in experiment.ids.items()}
    write_alignments(experiment.root / "exp/tri_ali", ids, 3, True)
    assert train("name=third") == 0
    assert marker.stat().st_mtime_ns != before


def test_speaker_transforms_on_the_fly(experiment: Experiment, real: SimpleNamespace) -> None:
    """LDA over three spliced frames, then an affine transform of each speaker."""
    random = np.random.default_rng(1)
    folder = experiment.root / "exp/fmllr"
    folder.mkdir()
    lda = random.normal(size=(4, 3 * DIM)).astype(np.float32)
    names = sorted({speaker(n) for n in experiment.features})
    fmllr = {s: random.normal(size=(4, 5)).astype(np.float32) for s in names}
    kaldiio.save_mat(str(folder / "final.mat"), lda)
    for job in (1, 2):
        table = {s: fmllr[s] for s in names[job - 1 :: 2]}
        kaldiio.save_ark(str(folder / f"trans.{job}"), table)
    (folder / "splice_opts").write_text("--left-context=1 --right-context=1\n")
    assert train("features.transforms=exp/fmllr") == 0
    right = expected(experiment, real)
    for store in stores(experiment.root).values():
        assert store.dim == 4
        for unit, name in enumerate(store.utterances):
            x = np.pad(right[name][0], ((1, 1), (0, 0)), mode="edge")
            x = np.hstack([x[:-2], x[1:-1], x[2:]]) @ lda.T
            a = fmllr[speaker(name)]
            found = store.read(np.array([unit])).features.numpy()
            np.testing.assert_allclose(found, x @ a[:, :4].T + a[:, 4], rtol=1e-4, atol=1e-3)


def test_ranges_and_allowed_commands_are_features_too(experiment, real) -> None:
    scp = experiment.root / "data/train/feats.scp"
    lines = [line.split() for line in scp.read_text().splitlines()]
    changed = []
    for number, (name, entry) in enumerate(lines):
        archive, offset = entry.split(":")
        # Kaldi's offsets point behind the key and its blank.
        command = f"tail -c +{int(offset) + 1} {archive} |"
        last = len(experiment.features[name]) - 1
        changed.append(f"{name} {entry}[0:{last}]" if number % 2 else f"{name} {command}")
    scp.write_text("\n".join(changed) + "\n")
    assert train() == 2
    assert train("features.allow_pipes=true") == 0
    right = expected(experiment, real)
    for store in stores(experiment.root).values():
        for unit, name in enumerate(store.utterances):
            found = store.read(np.array([unit])).features.numpy()
            np.testing.assert_allclose(found, right[name][0], rtol=1e-4, atol=1e-3)


def test_what_is_missing_is_named(experiment: Experiment) -> None:
    folder = experiment.root / "exp/tri_ali"
    config = load_config(arguments())

    def complaint(**corpus: object) -> str:
        changed = OmegaConf.merge(config, {"corpus": corpus})
        with pytest.raises(InputError) as caught:
            pack_external(typed(changed))
        return str(caught.value)

    assert "data/nowhere/utt2spk" in complaint(train_data="data/nowhere")
    assert "corpus.heldout_share" in complaint(heldout_share=0)
    assert "corpus.train_data=null" in complaint(train_data=None)
    cmvn = experiment.root / "data/train/cmvn.scp"
    text = cmvn.read_text()
    cmvn.write_text(text.replace("mfcc/", "gone/"))
    assert "there is no archive gone/cmvn.ark" in complaint()
    cmvn.write_text(text + "zz touch hacked |\n")
    assert "data/train/cmvn.scp: zz: a command" in complaint()
    assert not (experiment.root / "hacked").exists()
    cmvn.unlink()
    assert "data/train/cmvn.scp" in complaint()
    cmvn.write_text(text)
    (folder / "ali.2.gz").write_bytes(gzip.compress(b"s00-u0 1 2 x\n"))
    assert "exp/tri_ali/ali.2.gz: byte" in complaint()
    write_alignments(folder, {"other": np.array([1], np.int32)}, 3, True)
    assert "no alignment of any utterance of train" in complaint()
    for stage in (prepare, features):
        with pytest.raises(InputError, match="has data and features of Kaldi's"):
            stage.run(typed(config))
    (folder / "final.mdl").write_bytes(b"\0B<TransitionModel> ")
    assert "exp/tri_ali/final.mdl: byte" in complaint()


def test_sequence_training_on_kaldi_lattices(experiment: Experiment) -> None:
    """Two readings of every utterance: that of its alignment, and its mirror image."""
    entries = []
    for name, ids in experiment.ids.items():
        paths = ("_".join(map(str, path)) for path in (ids.tolist(), ids[::-1].tolist()))
        arcs = "".join(f"0\t1\t{word}\t1.5,0,{path}\n" for word, path in enumerate(paths, start=1))
        entries.append(f"{name} \n{arcs}1\n\n")
    folder = experiment.root / "exp/tri_ali/denlats"
    folder.mkdir()
    (folder / "lat.1.gz").write_bytes(gzip.compress("".join(entries).encode()))
    assert train() == 0
    more = ["lattices.from_kaldi=exp/tri_ali/denlats", "lattices.silence_phones=[1]"]
    assert main(["lattices", *arguments(*more)]) == 0
    plain = [one for one in arguments() if one != "sampling=fixed"]
    assert main(["train", *plain, "+stage=smbr", "criterion.acoustic_scale=0.1"]) == 0
    events = read_events(experiment.root / "exp/kaldi-smbr/events.jsonl")
    assert events[-1]["iteration"] == 1
    assert events[-1]["heldout_loss"] < events[0]["heldout_loss"]
