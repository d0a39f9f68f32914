"""A perturbed training set: what it changes in a corpus, and what it leaves as it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from asr_hf.cli.compose import load_config
from asr_hf.data.alignment import Alignments
from asr_hf.data.store import FrameStore
from asr_hf.hf.objective import Split
from asr_hf.runtime.errors import InputError
from asr_hf.stages.sources.kaldi_sets import kaldi_sets
from asr_hf.stages.training.heldout import check_heldout

from ..typed import typed

COPIES = ["features.perturb.speeds=[0.8,1.25]"]
LEVELS = ["features.perturb.level=[0.25,2.0]"]


def files(place, *below: str) -> dict[Path, tuple[int, bytes]]:
    found = [p for name in below for p in (place.corpus / name).rglob("*") if p.is_file()]
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in found if p.name != ".lock"}


def unit(store: FrameStore, name: str):
    return store.read(np.array([store.utterances.index(name)]))


def test_only_the_store_that_is_trained_on_has_copies_and_they_have_the_labels_of_their_speech(
    place,
):
    place.well("features")  # knows the place of its audio now
    place.well("align")
    kept = files(place, "fbank", "align", "store/dev", "store/test")
    plain = FrameStore.open(place.corpus / "store" / "train")
    before = {name: unit(plain, name) for name in plain.utterances}
    for verb in ("features", "align"):
        place.well(verb, *COPIES)
    assert files(place, "fbank", "align", "store/dev", "store/test") == kept
    store = FrameStore.open(place.corpus / "store" / "train")
    prefixes = ["", "sp0.8-", "sp1.25-"]
    assert set(store.utterances) == {p + name for p in prefixes for name in plain.utterances}
    for name, batch in before.items():
        same = unit(store, name)
        np.testing.assert_array_equal(same.features, batch.features)
        np.testing.assert_array_equal(same.labels, batch.labels)
        for speed in (0.8, 1.25):
            copy = unit(store, f"sp{speed}-{name}")
            labels, carried = batch.labels.numpy(), copy.labels.numpy()
            assert abs(len(carried) * speed - len(labels)) < 3
            # The middle of frame j, 12.5 ms after its begin, was at speed times that.
            places = (speed * (np.arange(len(carried)) * 10 + 12.5) - 12.5) / 10
            nearest = np.clip(np.floor(places + 0.5).astype(int), 0, len(labels) - 1)
            np.testing.assert_array_equal(carried, labels[nearest])
    place.well("train", "name=copies", *COPIES)
    # Without, in this command: what lies there is told apart, and made anew.
    said = place.refused("train", "name=plain")
    assert "features.perturb.speeds: [0.8, 1.25] -> []" in said and "asr-hf align" in said
    place.well("align")
    place.well("train", "name=plain")
    said = place.refused("train", "name=copies", *COPIES, "trainer.stopping.max_iterations=3")
    assert "store/train" in said and "features.perturb" in said and "asr-hf align" in said


def test_levels_leave_alignments_alone_and_copies_are_not_decoded(place):
    place.well("features")
    place.well("align")
    kept = files(place, "fbank", "align", "store/dev")
    plain = FrameStore.open(place.corpus / "store" / "train")
    before = unit(plain, plain.utterances[0]).features.numpy()
    for verb in ("features", "align"):
        place.well(verb, *LEVELS, *COPIES)
    assert files(place, "fbank", "align", "store/dev") == kept
    store = FrameStore.open(place.corpus / "store" / "train")
    # Each utterance is a speaker of its own here: normalisation takes its level away.
    np.testing.assert_allclose(unit(store, plain.utterances[0]).features, before, atol=0.01)
    sets = ["decode.sets=[train]", "decode.tune_on=dev"]
    place.well("decode", str(place.run), *sets, *LEVELS, *COPIES)
    lines = (place.run / "decode/train/hyp.txt").read_text().splitlines()
    assert {line.split()[0] for line in lines} == set(plain.utterances)


def test_copies_of_what_has_no_alignment_are_not_trained_on(place):
    text = place.corpus / "train" / "text"
    first, *rest = text.read_text().splitlines()
    key, *words = first.split()
    text.write_text("\n".join([" ".join([key, *words * 9]), *rest]) + "\n")
    place.well("features", *COPIES)
    said = place.well("align", *COPIES, "alignment.max_skipped=0.5")
    assert "1 of 24 utterances skipped" in said
    store = FrameStore.open(place.corpus / "store" / "train")
    assert store.num_units == 3 * 23 and not any(name.endswith(key) for name in store.utterances)


def test_alignments_from_elsewhere_are_carried_over_to_copies(place):
    place.well("features", *COPIES)
    align = place.corpus / "align" / "train"
    outside = ["alignment.from_ark=" + str(align / "ali.ark"), "alignment.tag=ark"]
    pdfs = Alignments.read(align).num_pdfs
    place.well("align", *COPIES, *outside, f"alignment.num_pdfs={pdfs}")
    place.well("align", *COPIES)
    stores = [FrameStore.open(place.corpus / name / "train") for name in ("store", "store-ark")]
    assert stores[0].utterances == stores[1].utterances and stores[0].num_units == 72
    frames = [(s.folder / "labels.bin").read_bytes() for s in stores]
    assert frames[0] == frames[1]


def kaldi_folder(folder: Path, speakers: int, copies: tuple[str, ...]) -> Path:
    """Two utterances a speaker, and copies of all at some speeds."""
    folder.mkdir(parents=True)
    names = [(f"s{s}-u{u}", f"s{s}") for s in range(speakers) for u in range(2)]
    names += [(prefix + u, prefix + s) for prefix in copies for u, s in names]
    (folder / "utt2spk").write_text("".join(f"{u} {s}\n" for u, s in sorted(names)))
    for scp in ("feats.scp", "cmvn.scp"):
        keys = sorted({pair[scp == "cmvn.scp"] for pair in names})
        (folder / scp).write_text("".join(f"{key} x.ark:1\n" for key in keys))
    return folder


@pytest.mark.parametrize("speakers", [4, 12])
def test_no_copy_of_what_is_held_out_of_kaldi_s_data_is_trained_on(tmp_path, speakers):
    def split(*copies: str) -> list[set[str]]:
        folder = kaldi_folder(tmp_path / "".join(["data", *copies]), speakers, copies)
        given = [f"corpus.train_data={folder}", "alignment.from_kaldi=ali"]
        sets = kaldi_sets(typed(load_config(["+recipe=kaldi", *given, "corpus.heldout_share=0.3"])))
        return [{u.id for u in sets[name].utterances} for name in ("train", "dev")]

    alone, together = split(), split("sp0.9-", "sp1.1-")
    assert together[1] == alone[1], "unaltered speech is held out, and the same"
    assert together[0] == {p + u for p in ("", "sp0.9-", "sp1.1-") for u in alone[0]}
    # Names that only look like those of copies are names.
    train, heldout = split("sp1-")
    assert len(train) + len(heldout) == 4 * speakers


def test_features_that_are_there_already_cannot_be_perturbed(tmp_path):
    given = [f"corpus.train_data={kaldi_folder(tmp_path / 'd', 3, ())}", "alignment.from_kaldi=ali"]
    for perturbed, key in ((COPIES, "features.perturb.speeds"), (LEVELS, "features.perturb.level")):
        with pytest.raises(InputError, match=key):
            kaldi_sets(typed(load_config(["+recipe=kaldi", *given, *perturbed])))


@dataclass
class Stored:
    """What the check of held-out data asks a store."""

    lengths: dict[str, int]

    @property
    def utterances(self) -> list[str]:
        return list(self.lengths)

    def num_frames_of(self, number: int) -> int:
        return list(self.lengths.values())[number]


def test_a_copy_of_a_held_out_utterance_in_training_data_is_found(tmp_path, caplog):
    settings = typed(load_config(["+recipe=prompts", f"paths.data={tmp_path}"]))
    stores = {
        Split.TRAIN: Stored({"sp0.9-a": 110, "sp1.1-b": 50, "c": 100}),
        Split.HELDOUT: Stored({"a": 100, "b": 100, "d": 100}),
    }
    check_heldout(settings, stores)
    assert "1 of 3 utterances" in caplog.text
    stores[Split.HELDOUT] = Stored({"a": 99})
    with pytest.raises(InputError, match="nothing is held out"):
        check_heldout(settings, stores)
