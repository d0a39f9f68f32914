"""What is stale or damaged is refused by name, and the command that is named mends it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from asr_hf.runtime.files import read_json
from asr_hf.stages import decode
from asr_hf.stages.recognition import recognised_sets
from asr_hf.training.model_file import load_model

MORE = ["name=other"]


def hypotheses(place, name: str) -> dict[str, list[str]]:
    lines = (place.run / "decode" / name / "hyp.txt").read_text().splitlines()
    return {line.split()[0]: line.split()[1:] for line in lines}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("features.num_mel_bins=30", "features.num_mel_bins: 40 -> 30"),
        ("features.low_freq=100.0", "features.low_freq: 20.0 -> 100.0"),
        ("features.cmvn=utterance", "features.cmvn: speaker -> utterance"),
        ("features.preemphasis=0.5", "features.preemphasis: 0.97 -> 0.5"),
    ],
)
def test_features_made_anew_with_other_options_are_not_passed_on(place, setting, told):
    place.well("features", setting)
    said = place.refused("train", *MORE)
    assert told in said and "asr-hf align" in said


def test_features_made_anew_are_told_by_each_verb_until_all_is_made_of_them(place):
    setting, told = "features.num_mel_bins=30", "features.num_mel_bins: 40 -> 30"
    place.well("features", setting)
    for verb, *given in (
        ["train", *MORE],
        ["decode", str(place.run)],
        ["lattices", str(place.run)],
    ):
        said = place.refused(verb, *given)
        assert told in said and "asr-hf align" in said
    # With the setting in the command too, it is the store that is of others.
    assert "asr-hf align" in place.refused("train", *MORE, setting)
    # The named command makes the store anew; the model still knows what it was trained on.
    place.well("align", setting)
    place.well("train", *MORE, setting)
    said = place.refused("decode", str(place.run), setting)
    assert told in said and "model.safetensors" in said
    # And back again.
    place.well("features")
    place.well("align")
    place.well("decode", str(place.run))


def test_online_cmvn_goes_from_the_training_set_into_the_run(place):
    online = ["features.cmvn=online", "features.online_cmvn.cmn_window=50"]
    for verb in ("features", "align"):
        place.well(verb, *online)
    place.well("train", "name=online", *online)
    run = place.root / "exp" / "online"
    place.well("decode", str(run))
    # A live decoder needs nothing but the run folder.
    about = load_model(run / "model.safetensors")[1]
    stats = read_json(place.corpus / "fbank/train/fbank.json")["global_stats"]
    assert about["global_stats"] == stats
    assert about["features"]["online_cmvn"]["cmn_window"] == 50
    told = "features.online_cmvn: {'cmn_window': 50"
    assert told in place.refused("train", "name=more", "features.cmvn=online")
    # With an utterance less in the training set, the features of all sets start elsewhere.
    lost = (place.corpus / "train/text").read_text().splitlines()[-1].split()[0]
    for file in ("text", "utt2spk", "utt2lang", "wav.scp", "segments", "spk2utt"):
        if (path := place.corpus / "train" / file).is_file():
            kept = [line for line in path.read_text().splitlines() if line.split()[0] != lost]
            kept = [line.replace(f" {lost}", "") for line in kept] if file == "spk2utt" else kept
            path.write_text("".join(f"{line}\n" for line in kept))
    for verb in ("features", "align"):
        place.well(verb, *online)
    assert "statistics of another training set" in place.refused("decode", str(run))


def test_a_store_that_was_packed_elsewhere_from_other_features_is_refused(place, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(place.root / "data", other)
    for scp in other.rglob("*.scp"):
        scp.write_text(scp.read_text().replace(str(place.root / "data"), str(other)))
    for verb in ("features", "align"):
        place.well(verb, f"paths.data={other}", "features.high_freq=3000.0")
    shutil.rmtree(place.corpus / "store" / "dev")
    shutil.copytree(other / "tones" / "store" / "dev", place.corpus / "store" / "dev")
    for verb, *given in (["train", *MORE], ["decode", str(place.run)]):
        said = place.refused(verb, *given)
        assert "store/dev" in said and "features.high_freq: 3000.0 -> 0.0" in said
    place.well("align")
    place.well("decode", str(place.run))


def test_labels_and_lattices_of_another_system_are_refused(place):
    smbr = ["+stage=smbr", f"init_from={place.run}", "name=smbr", "lattices.acoustic_scale=0.3"]
    smbr += ["criterion.acoustic_scale=0.3", "runtime.keep_models=false"]
    place.well("align", "alignment.gaussians=30")
    assert "alignment.gaussians: 30 -> 40" in place.refused("train", *MORE)
    other = "alignment.gaussians=30"
    said = place.refused("train", *smbr, other)
    assert "lattices/train" in said and "alignment.gaussians: 40 -> 30" in said
    assert "asr-hf lattices" in said
    place.well("lattices", *smbr, other)
    place.well("train", *smbr, other)


def test_a_run_whose_labels_were_made_anew_is_not_gone_on_with(place):
    place.well("align", "alignment.gaussians=30")
    longer = ["name=first", "alignment.gaussians=30", "trainer.stopping.max_iterations=4"]
    said = place.refused("train", *longer)
    assert "another configuration" in said and "alignment.gaussians" in said
    # The same settings, and a store that is another all the same.
    place.well("align")
    store = place.corpus / "store" / "train"
    shutil.rmtree(store)
    shutil.copytree(place.corpus / "store" / "test", store)
    said = place.refused("train", "name=first", "trainer.stopping.max_iterations=4")
    assert "began with other data" in said and "training labels.bin" in said


def test_a_model_is_not_decoded_with_other_states(place):
    tied = ["alignment=triphone", "alignment.tree.states=30", "alignment.tree.gaussians=60"]
    place.well("align", *tied)
    said = place.refused("decode", str(place.run), *tied)
    assert "model.safetensors" in said and "other HMM states" in said
    # Without repeating anything, a run with tied states is decoded with them.
    place.well("train", *tied, "name=tied")
    place.well("decode", "name=tied")
    place.well("score", "name=tied")


def test_words_of_another_model_are_not_scored(place):
    place.well("decode", str(place.run))
    place.well("score", str(place.run))
    place.well("train", "name=first", "trainer.stopping.max_iterations=5")
    said = place.refused("score", str(place.run))
    assert "another model" in said and f"asr-hf decode {place.run}" in said
    place.well("decode", str(place.run))
    place.well("score", str(place.run))


DAMAGE = {
    "flipped": flip,
    "emptied": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
}


@pytest.mark.parametrize(
    ("name", "damage", "verbs"),
    [
        ("store/train/frames.bin", "flipped", ["align"]),
        ("store/dev/labels.bin", "cut", ["align"]),
        ("store/train/offsets.npy", "emptied", ["align"]),
        ("store/dev/artefact.json", "gone", ["align"]),
        ("align/dev/ali.ark", "flipped", ["align"]),
        ("align/gmm.npz", "cut", ["align"]),
        ("align/phones.txt", "emptied", ["align"]),
        ("fbank/train/feats.ark", "flipped", ["features", "align"]),
        ("fbank/dev/feats.scp", "cut", ["features", "align"]),
        ("fbank/dev/cmvn.ark", "gone", ["features", "align"]),
    ],
)
def test_what_is_damaged_is_made_again_by_its_command(place, name, verbs, damage):
    path = place.corpus / name
    # Features know the place of their audio, which is another in the copy.
    records = {place.corpus / "fbank" / name / "artefact.json" for name in ("train", "dev", "test")}
    files = [p for p in place.corpus.rglob("*") if p.is_file() and p not in records]
    whole = {p: p.read_bytes() for p in files}
    DAMAGE[damage](path)
    for verb in verbs:
        place.well(verb)
    for file, content in whole.items():
        assert file.read_bytes() == content, file


def test_utterances_that_align_left_out_are_decoded(place):
    text = place.corpus / "dev" / "text"
    first, *rest = text.read_text().splitlines()
    key, *words = first.split()
    text.write_text("\n".join([" ".join([key, *words * 9]), *rest]) + "\n")
    said = place.well("align", "alignment.max_skipped=0.5")
    assert "1 of 8 utterances skipped" in said and key in said
    said = place.well("decode", str(place.run))
    result = json.loads((place.run / "decode" / "dev" / "result.json").read_text())
    assert result["skipped"] == {} and hypotheses(place, "dev")[key]


def test_what_has_no_features_is_said_before_the_work_and_costs_none_of_it(place, monkeypatch):
    for number in range(3):
        wav = place.corpus / "wav" / f"test-{number:03d}.wav"
        os.truncate(wav, 300)
    loose = ["features.max_skipped=0.9", "alignment.max_skipped=0.9"]
    place.well("features", *loose)
    place.well("align", *loose)
    monkeypatch.setattr(recognised_sets, "decode_all", lambda *_: pytest.fail("decoding has begun"))
    said = place.refused("decode", str(place.run))
    assert "decoding of test: 3 of 6 utterances" in said and "raise decode.max_skipped" in said
    assert "truncated" in said and "likewise" in said
    monkeypatch.undo()
    said = place.well("decode", str(place.run), "decode.max_skipped=0.5")
    assert "3 of 6 utterances skipped" in said
    result = json.loads((place.run / "decode" / "test" / "result.json").read_text())
    assert len(result["skipped"]) == 3 and result["deletions"] >= 9


def test_a_killed_decode_goes_on_with_the_next_set(place, monkeypatch):
    real = decode._Decoding._decoded

    def killed(self, name, *rest):
        if name == "test":
            raise KeyboardInterrupt
        return real(self, name, *rest)

    monkeypatch.setattr(decode._Decoding, "_decoded", killed)
    assert place("decode", str(place.run)).code == 130
    made = [place.run / "decode" / name for name in ("best.json", "dev/hyp.txt")]
    times = [path.stat().st_mtime_ns for path in made]
    monkeypatch.undo()
    place.well("decode", str(place.run))
    assert [path.stat().st_mtime_ns for path in made] == times
    assert hypotheses(place, "test")
    files = [p for p in (place.run / "decode").rglob("[!.]*") if p.is_file()]
    before = {p: p.stat().st_mtime_ns for p in files}
    place.well("decode", str(place.run))
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_each_command_again_makes_nothing_anew(place):
    files = [p for p in place.root.rglob("*") if p.is_file() and "tones/wav" not in str(p)]
    for verb in ("features", "align"):
        place.well(verb)
    place.well("lattices", str(place.run))
    kinds = (".ark", ".scp", ".bin", ".npy", ".npz", ".fst")
    data = [p for p in files if p.suffix in kinds and place.corpus in p.parents]
    assert data
    before = {p: p.stat().st_mtime_ns for p in data}
    for verb in ("features", "align"):
        place.well(verb)
    assert before == {p: p.stat().st_mtime_ns for p in data}
