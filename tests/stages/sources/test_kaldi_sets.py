"""Sets that are named when decoding asks for them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from asr_hf.cli.compose import load_config
from asr_hf.cli.main import main
from asr_hf.data.store import FrameStore
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json
from asr_hf.stages.sources.external import pack_decode_data, pack_external

from ...kaldi.fixture_experiment import WORDS, arguments, config_of
from ...kaldi.kaldi_text import FIXTURES, matrices
from ...typed import typed


def other_set(folder: Path, name: str, utterances: int = 6) -> Path:
    """The training data under another name, relative paths and all."""
    shutil.copytree("data/train", folder / name)
    for file in ("utt2spk", "text"):
        lines = (folder / name / file).read_text().splitlines(keepends=True)
        (folder / name / file).write_text("".join(lines[:utterances]))
    return folder / name


def test_sets_named_after_training_are_packed_and_decoded(s5: Path) -> None:
    assert main(["train", *arguments()]) == 0
    near, far = other_set(s5 / "data", "eval", 4), other_set(s5.parent / "elsewhere", "other")
    more = ["decode.graph=exp/lda/graph", "decode.acoustic_scales=[0.1]", "decode.lm_scales=[1]"]
    more += [f"+corpus.decode_data.eval={near}", f"+corpus.decode_data.other={far}"]
    assert main(["decode", *arguments(*more, "decode.sets=[dev,eval,other]")]) == 0
    for name, count in (("eval", 4), ("other", 6)):
        store = FrameStore.open(s5 / "stores/kaldi/store" / name)
        assert store.num_units == count and store.num_pdfs == 0
        lines = (s5 / "exp/kaldi/decode" / name / "ref.txt").read_text().splitlines()
        words = {line.split(" ", 1)[0]: line.split(" ")[1:] for line in lines}
        assert words["anna-2"] == ["d'ac\u00a0cord"] and words["ben-1"] == ["nein", "so\u3000so"]
        hypotheses = (s5 / "exp/kaldi/decode" / name / "hyp.txt").read_text().splitlines()
        assert {w for line in hypotheses for w in line.split(" ")[1:]} <= set(WORDS)
    assert read_json(s5 / "exp/kaldi/decode/other/result.json")["words"] == 10


def test_a_set_for_decoding_is_kept_until_its_features_change(s5: Path) -> None:
    config = config_of(f"+corpus.decode_data.eval={other_set(s5 / 'data', 'eval')}")
    config.alignment.from_kaldi = None
    pack_decode_data(typed(config), ["eval", "dev"])
    mark = s5 / "stores/kaldi/store/eval/store.json"
    before = mark.stat().st_mtime_ns
    pack_decode_data(typed(config), ["eval"])
    assert mark.stat().st_mtime_ns == before
    lines = (s5 / "data/eval/feats.scp").read_text().splitlines()
    (s5 / "data/eval/feats.scp").write_text("\n".join(f"{line}[0:4]" for line in lines) + "\n")
    pack_decode_data(typed(config), ["eval"])
    assert FrameStore.open(mark.parent).num_frames == 30


def test_training_and_decoding_agree_on_what_a_set_is_made_from(s5: Path) -> None:
    config = config_of(f"+corpus.decode_data.eval={other_set(s5 / 'data', 'eval')}")
    pack_external(typed(config))
    mark = s5 / "stores/kaldi/store/eval/store.json"
    before = mark.stat().st_mtime_ns
    pack_decode_data(typed(config), ["eval"])
    assert mark.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("dev=data/train", "corpus.decode_data.dev: there is a set of this name already"),
        ("eval=data/nowhere", "data/nowhere/utt2spk: there is no such file"),
        ("eval=data/bare", "data/bare/feats.scp: there is no such file"),
    ],
)
def test_sets_that_cannot_be_decoded(s5: Path, given: str, message: str) -> None:
    (s5 / "data/bare").mkdir()
    (s5 / "data/bare/utt2spk").write_text("a a\n")
    config = config_of(f"+corpus.decode_data.{given}")
    with pytest.raises(InputError, match=message):
        pack_decode_data(typed(config), ["dev", "eval"])


def test_a_corpus_of_our_own_has_kaldi_s_sets_to_decode(s5: Path) -> None:
    """Features of our own are normalised in mean and variance, so these are too."""
    given = ["+recipe=prompts", "paths.data=own", "features.dtype=float32"]
    config = load_config([*given, "+corpus.decode_data.eval=data/train"])
    pack_decode_data(typed(config), ["eval"])
    store, right = FrameStore.open(s5 / "own/prompts/store/eval"), matrices(FIXTURES / "cmvn/2.txt")
    for unit, name in enumerate(store.utterances):
        frames = store.read(np.array([unit])).features.numpy()
        np.testing.assert_allclose(frames, right[name], rtol=1e-4, atol=2e-4)


def test_what_decoding_cannot_use_is_said(s5: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = arguments("features.cmvn=none", "decode.graph=exp/lda/graph")
    assert main(["train", *plain]) == 0
    assert main(["decode", *plain, "decode.sets=[nope]"]) == 2
    assert "+corpus.decode_data.nope=data/nope" in capsys.readouterr().err
    scp = other_set(s5 / "data", "eval") / "feats.scp"
    scp.write_text(scp.read_text().replace("\n", "[:,0:3]\n"))
    named = ["+corpus.decode_data.eval=data/eval", "decode.sets=[eval]", "decode.tune_on=eval"]
    assert main(["decode", *plain, *named]) == 2
    assert "store/eval: features of 4 dimensions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("corpus.norm_vars=true", "norm_vars=True"),
        ("features.cmvn=none", "cmvn=none"),
        ("features.transforms=exp/lda/decode", "transformed=True"),
        ("alignment.from_kaldi=null", "reverse=False, skip_dims=[]"),
    ],
)
def test_features_are_made_as_those_of_training(s5: Path, change: str, message: str) -> None:
    if message.startswith("reverse"):
        (s5 / "exp/lda/cmvn_opts").write_text("--reverse=true --skip-dims=1\n")
    named = f"+corpus.decode_data.eval={other_set(s5 / 'data', 'eval')}"
    pack_external(typed(config_of()))
    with pytest.raises(InputError) as caught:
        pack_decode_data(typed(config_of(named, change)), ["eval"])
    assert f"corpus.decode_data.eval: features with {message}" in caught.value.problem
    pack_decode_data(typed(config_of(named)), ["eval"])
