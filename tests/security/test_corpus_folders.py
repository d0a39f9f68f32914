"""Corpora of strangers: JSON, arrays, archives and indexes are data, whatever verb reads them."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe

from .conftest import Pickled, point_at

# Each JSON file of a corpus and of a run, and verbs that read it.
JSONS = {
    "data/tones/corpus.json": [("features", "features.sample_rate=null")],
    "data/tones/fbank/dev/fbank.json": [("features",), ("align",)],
    # What is damaged, align makes again.
    "data/tones/align/hmm.json": [("decode", "name=first"), ("align",)],
    "data/tones/align/artefact.json": [("align",)],
    "data/tones/align/dev/artefact.json": [("align",)],
    "data/tones/store/dev/store.json": [("train", "name=other"), ("decode", "name=first")],
    "data/tones/lattices/dev/lattices.json": [("lattices", "lattices.from_run={run}")],
    "exp/first/result.json": [("score", "name=first"), ("info", "paths.exp={root}/exp")],
    "exp/first/decode/best.json": [("score", "name=first")],
    "exp/first/decode/dev/result.json": [("score", "name=first")],
    "exp/first/score.json": [("score", "name=first")],
}


def code_in_place_of(value, place, reference):
    """Every text of a JSON value replaced by what would be code, were it believed."""
    if isinstance(value, dict):
        found = {k: code_in_place_of(v, place, reference) for k, v in value.items()}
        extra = {"_target_": "os.system", "command": place.touch, "recipe": "evil.recipe"}
        return found | extra
    if isinstance(value, list):
        return [code_in_place_of(one, place, reference) for one in value]
    if isinstance(value, str):
        return "${oc.env:SECRET}" if reference else f"{place.touch} |"
    return value


@pytest.mark.parametrize("reference", [False, True], ids=["command", "reference"])
@pytest.mark.parametrize("name", JSONS)
def test_json_names_no_code(place, call, name, reference):
    path = place.root / name
    value = code_in_place_of(json.loads(path.read_text()), place, reference)
    path.write_text(json.dumps(value))
    for verb, *given in JSONS[name]:
        outcome = call(verb, *(one.format(run=place.run, root=place.root) for one in given))
        if path.name in ("hmm.json", "store.json") and verb != "align":
            assert outcome.code == 2 and f"{path}: " in outcome.said
    report = place.run / "report.html"
    assert "hunter2" not in report.read_text()


def test_a_recipe_is_never_taken_from_a_corpus(place, call):
    """corpus.json may name whatever it likes: this command's configuration names the recipe."""
    path = place.corpus / "corpus.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"recipe": "evil.recipe"}))
    assert call("features").code == 0
    assert call("align").code == 0
    with pytest.raises(InputError):
        load_recipe("evil/recipe")


ARRAYS = {
    "data/tones/store/dev/offsets.npy": ("decode", "name=first"),
    "data/tones/store/train/checksums.npy": ("train", "name=other"),
    "data/tones/lattices/dev/offsets.npy": ("validate", "{root}/data/tones/lattices/dev"),
    "data/tones/lattices/dev/pdf_of.npy": ("validate", "{root}/data/tones/lattices/dev"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_pickled_array_is_refused(place, call, name):
    path = place.root / name
    np.save(path, np.array([Pickled(place.marker)], object), allow_pickle=True)
    verb, *given = ARRAYS[name]
    outcome = call(verb, *(one.format(root=place.root) for one in given))
    assert outcome.code == 2 and str(path) in outcome.said


def test_a_pickled_member_of_an_archive_of_arrays_is_refused(place, call):
    path, made = place.corpus / "align" / "gmm.npz", io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for member in old.namelist():
            buffer = io.BytesIO()
            np.save(buffer, np.array([Pickled(place.marker)], object), allow_pickle=True)
            new.writestr(member, buffer.getvalue())
    path.write_bytes(made.getvalue())
    outcome = call("decode", "name=first")
    assert outcome.code == 2 and str(path) in outcome.said


def kaldi_pickle(place):
    return b"PKL" + pickle.dumps(Pickled(place.marker))


ENTRIES = {
    "pickled object": lambda place: b"train-000 " + kaldi_pickle(place),
    "pickled array": lambda place: b"train-000 NPY" + kaldi_pickle(place),
    "bare pickle": lambda place: b"train-000 " + pickle.dumps(Pickled(place.marker)),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_archive_of_pickled_objects_is_refused(place, call, name):
    ark = place.corpus / "fbank" / "train" / "feats.ark"
    ark.write_bytes(ENTRIES[name](place))
    scp = ark.with_suffix(".scp")
    point_at(scp, f"{ark}:10")
    ark.with_suffix(".crc").unlink()
    given = [f"alignment.from_ark={ark}", "alignment.num_pdfs=5", "alignment.tag=again"]
    for more in ([], given):
        outcome = call("align", "alignment.iterations=3", *more)
        assert outcome.code == 2 and str(ark) in outcome.said


COMMANDS = ("{touch} |", "|{touch}", "| {touch}", "{touch}|")
INDEXES = {
    "train/wav.scp": ["features"],
    "fbank/train/feats.scp": ["align", "alignment.iterations=3"],
    "fbank/train/cmvn.scp": ["align", "alignment.iterations=3"],
}


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("entry", COMMANDS)
def test_an_index_runs_no_command(place, call, index, entry):
    path = place.corpus / index
    command = entry.format(touch=place.touch)
    point_at(path, command)
    outcome = call(*INDEXES[index])
    assert outcome.code == 2
