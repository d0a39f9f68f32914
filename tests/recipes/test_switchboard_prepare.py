"""Preparation as a whole, of a small replica of the corpora made from noise."""

from __future__ import annotations

import importlib
import json
import re
import shutil

import numpy as np
import pytest
import soundfile

from asr_hf.cli.compose import load_config
from asr_hf.data.audio import load_audio
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.validate import validate
from asr_hf.hmm.graph.lexicon import read_lexicon
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe

from ..typed import typed

recipe = load_recipe("switchboard")


def module(name):
    return importlib.import_module(f"asr_hf_recipes.switchboard.{name}")


dialogue, replica = module("replica.dialogue"), module("replica.make")

WORDS = ("message", "password", "greeting", "enter", "please", "your", "number", "conference")
LETTERS = "abcdefgimpstuv"
# Letters are said in the dictionary's phones; other words in some that are none of letters.
PRONUNCIATIONS = {
    **{letter: [module("acronyms").letters()[letter.upper()]] for letter in LETTERS},
    **{word: [("hh", *(("ae", "n") * (len(word) // 3)))] for word in WORDS},
}


def prompts(count, seed):
    random = np.random.default_rng(seed)
    found = [(letter,) for letter in LETTERS] if seed == 0 else []
    while len(found) < count:
        found.append(tuple(random.choice(WORDS, size=random.integers(1, 5))))
    return [
        dialogue.Prompt(
            random.normal(scale=2000, size=1600 + 800 * len(words)).astype(np.int16), words
        )
        for words in found
    ]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    root = tmp_path_factory.mktemp("licensed") / "replica"
    replica.make_replica(root, prompts(90, 0), prompts(30, 1), PRONUNCIATIONS, seed=3)
    return root


def overrides_for(corpora, folder, *more):
    return [
        "+recipe=switchboard",
        f"paths.data={folder / 'data'}",
        f"paths.cache={folder / 'cache'}",
        f"corpus.swbd={corpora / 'LDC97S62'}",
        f"corpus.msu={corpora}",
        f"corpus.eval2000={corpora / 'LDC2002S09'}",
        f"corpus.hub5_refs={corpora / 'LDC2002T43'}",
        *more,
    ]


def prepare(corpora, folder, *more):
    config = load_config(overrides_for(corpora, folder, *more))
    about = recipe.prepare(typed(config))
    return folder / "data" / "switchboard", about


@pytest.fixture(scope="module")
def whole(corpora, tmp_path_factory):
    """Everything asked for: both test sets, callers, Fisher."""
    return prepare(
        corpora,
        tmp_path_factory.mktemp("whole"),
        "corpus.sets=[train,dev,eval2000,rt03]",
        f"corpus.rt03={corpora / 'LDC2007S10'}",
        f"corpus.fisher=[{corpora / 'LDC2004T19'}]",
        f"corpus.conv_tab={corpora / 'LDC97S62/docs/conv.tab'}",
        "corpus.subset=full",
    )


def transcript_lines(corpora):
    for path in sorted((corpora / "swb_ms98_transcriptions").glob("*/*/*-trans.text")):
        for line in path.read_text().splitlines():
            yield line.split()


def test_mu_law_is_that_of_libsndfile_for_every_sample(tmp_path):
    samples = np.arange(-32768, 32768, dtype=np.int16)
    path = tmp_path / "a.raw"
    soundfile.write(path, samples, 8000, format="RAW", subtype="ULAW")
    assert module("replica.sphere").mu_law(samples).tobytes() == path.read_bytes()


def test_the_replica_is_the_same_for_the_same_seed_only(corpora, tmp_path):
    for name, seed in (("again", 3), ("other", 4)):
        made = (prompts(90, 0), prompts(30, 1), PRONUNCIATIONS)
        replica.make_replica(tmp_path / name, *made, seed=seed)
    files = sorted(p.relative_to(corpora) for p in corpora.rglob("*") if p.is_file())
    assert all((tmp_path / "again" / p).read_bytes() == (corpora / p).read_bytes() for p in files)
    other = tmp_path / "other"
    assert any((other / p).read_bytes() != (corpora / p).read_bytes() for p in files[:5])


def test_the_replica_has_every_awkward_case(corpora):
    tokens = {token for line in transcript_lines(corpora) for token in line[3:]}
    for shape in (
        r"\[silence\]",
        r"<b_aside>",
        r"<E_ASIDE>",
        r"\[laughter-\w+\]",
        r"\[LAUGHTER-\w+\]",
        r"\[\w+/\w+\]",
        r"\w+_1",
        r"\{\w+\}",
        r"\w+\[\w+\]-",
        r"-\[\w+\]\w+",
        r"\w+\[\w+\]-/\w+\]",
        r"\w+\[\w+\]\w+",
        r"[A-Z]{2,}",
        r"\[noise\]",
        r"\[laughter\]",
        r"\[vocalized-noise\]",
    ):
        assert any(re.fullmatch(shape, token) for token in tokens), shape
    spoken = {}
    for name, start, end, *words in transcript_lines(corpora):
        if words != ["[silence]"]:
            spoken.setdefault(name[:6], {}).setdefault(name[6], []).append(
                (float(start), float(end))
            )
    assert any(
        a[0] < b[1] and b[0] < a[1]
        for sides in spoken.values()
        for a in sides.get("A", [])
        for b in sides.get("B", [])
    )


def test_sets_are_valid_kaldi_directories(whole):
    folder, about = whole
    for name in ("train", "dev", "eval2000", "rt03"):
        assert validate(folder / name) == []
    assert about["sample_rate"] == 8000 and about["languages"] == ["en"]
    assert json.loads((folder / "corpus.json").read_text()) == about


def test_sides_are_recordings_on_their_channels(whole, corpora):
    folder, _ = whole
    for line in (folder / "train" / "reco2file_and_channel").read_text().splitlines():
        side, name, channel = line.split()
        assert side == f"{name}-{channel}"
    train = DataDir.read(folder / "train")
    assert {u.recording[-1]: u.channel for u in train.utterances} == {"A": 0, "B": 1}
    # One file's name is in capitals.
    assert {p for p in train.wavs.values() if p.endswith("SW02002.SPH")}
    utterance = next(u for u in train.utterances if u.channel == 1)
    found = load_audio(train.wavs[utterance.recording], 8000, 1, utterance.start, utterance.end)
    samples, _ = soundfile.read(train.wavs[utterance.recording], dtype="int16")
    first, last = round(8000 * utterance.start), round(8000 * utterance.end)
    np.testing.assert_array_equal(found.numpy(), samples[first:last, 1])


def test_segments_hold_what_is_said_in_them(corpora, tmp_path):
    """Every prompt is loud, pauses are not: segments must cover all that is loud on their side."""
    folder, _ = prepare(corpora, tmp_path, "corpus.subset=full", "corpus.lm_held_out=0")
    covered = {}
    for name in ("train", "dev"):
        data = DataDir.read(folder / name)
        for u in data.utterances:
            covered.setdefault((data.wavs[u.recording], u.channel), []).append((u.start, u.end))
    for (path, channel), segments in covered.items():
        samples, _ = soundfile.read(path, dtype="int16")
        loud = np.abs(samples[:, channel].astype(int)) > 400
        for start, end in segments:
            assert loud[round(8000 * start) : round(8000 * end)].any()
            loud[round(8000 * start) : round(8000 * end)] = False
        assert not loud.any()


def test_text_is_in_the_words_of_the_lexicon(whole):
    folder, about = whole
    lexicon = read_lexicon(folder / "lang" / "en" / "lexicon.txt", "en")
    words = {
        word
        for name in ("train", "dev")
        for u in DataDir.read(folder / name).utterances
        for word in u.text.split()
    }
    assert words <= lexicon.pronunciations.keys()
    assert about["summary"]["unknown_words"] == 0
    assert {"t._v.", "[noise]", "[laughter]", "[vocalized-noise]"} <= words
    assert not {word for word in words if re.search(r"[<>{}A-Z_]|\w\[", word.replace("._", ""))}


def test_dev_comes_first_and_nothing_is_lost(whole, corpora):
    folder, about = whole
    train, dev = (DataDir.read(folder / name).utterances for name in ("train", "dev"))
    names = [u.id for u in [*dev, *train]]
    assert [n.encode() for n in names] == sorted(n.encode() for n in names)
    assert len(dev) == len(names) // 10
    empty = {"[silence]", "<b_aside>", "<E_ASIDE>"}
    lines = list(transcript_lines(corpora))
    assert len(names) == sum(bool(set(line[3:]) - empty) for line in lines)
    summary = about["summary"]
    assert summary["segments_read"] == len(lines)
    assert summary["empty_segments"] == len(lines) - len(names)
    dropped = [token.lower() for line in lines for token in line[3:]]
    for mark, count in summary["dropped_tokens"].items():
        assert count == dropped.count(mark) > 0


def test_callers_head_the_names_but_of_the_conversation_that_is_not_listed(whole, corpora):
    folder, _ = whole
    table = (corpora / "LDC97S62/docs/conv.tab").read_text().splitlines()
    pins = {row.split(",")[0]: row.split(",")[2:4] for row in table}
    for u in DataDir.read(folder / "train").utterances:
        number, side = u.recording[3:7], "AB".index(u.recording[-1])
        if number in pins:
            assert u.speaker == f"sw{pins[number][side]}"
            assert u.id.startswith(f"{u.speaker}-{u.recording}_")
        else:
            assert u.speaker == u.recording and u.id.startswith(f"{u.recording}_")


def test_language_model_sees_fisher_but_not_what_is_held_out(whole):
    folder, _ = whole
    language = folder / "lang" / "en"
    utterances = [u for name in ("dev", "train") for u in DataDir.read(folder / name).utterances]
    fifth = len(utterances) // 5
    assert (language / "lm_held_out").read_text().splitlines() == [
        u.text for u in utterances[:fifth]
    ]
    lines = (language / "lm_text").read_text().splitlines()
    assert lines[: len(utterances) - fifth] == [u.text for u in utterances[fifth:]]
    assert all(line.endswith("[laughter]") for line in lines[len(utterances) - fifth :])
    assert len(lines) == len(utterances) - fifth + 90


@pytest.mark.parametrize("name", ["eval2000", "rt03"])
def test_test_sets_are_those_of_stm_and_glm(whole, corpora, name):
    folder, about = whole
    stm = (folder / name / "stm").read_text()
    assert "ASIDE" not in stm and "((" not in stm and "inter_segment_gap" not in stm
    rows = [line.split() for line in stm.splitlines() if not line.startswith(";;")]
    scored = [row for row in rows if not row[6].startswith("IGNORE")]
    utterances = DataDir.read(folder / name).utterances
    assert len(utterances) == len(scored)
    assert about["summary"]["sets"][name]["not_scored"] == len(rows) - len(scored) > 0
    assert {row[1] for row in rows} == {"A", "B"}
    assert {u.recording for u in utterances} == {f"{row[0]}-{row[1]}" for row in scored}
    # Utterances reach at most 0.1 s beyond what their names say.
    for u in utterances:
        start, end = (int(x) / 100 for x in u.id.rpartition("_")[2].split("-"))
        assert start - 0.1 - 1e-6 <= u.start <= start + 0.01
        assert end - 1e-6 <= u.end <= end + 0.11 + 1e-6
    assert (folder / name / "glm").read_bytes() == next(
        corpora.rglob("en20000405*.glm" if name == "eval2000" else "en2003*.glm")
    ).read_bytes()


def test_the_summary_stands_beside_what_is_published(whole):
    _, about = whole
    lines = module("summary").table(about["summary"]).splitlines()
    assert any(line.startswith("| dev |") and "4,000 utterances" in line for line in lines)
    row = next(line for line in lines if line.startswith("| eval2000 en_ |"))
    assert row.endswith("| 40 sides, 21,594 words |")
    assert any(line.startswith("tokens dropped: ") and "[silence]" in line for line in lines)


def test_nothing_is_done_twice_and_changes_are_noticed(corpora, tmp_path):
    copy = tmp_path / "corpora"
    shutil.copytree(corpora, copy)
    folder, _ = prepare(copy, tmp_path)
    made = (folder / "corpus.json").stat().st_mtime_ns
    assert prepare(copy, tmp_path)[0] == folder
    assert (folder / "corpus.json").stat().st_mtime_ns == made
    transcript = next((copy / "swb_ms98_transcriptions").glob("*/*/*-trans.text"))
    transcript.write_text(transcript.read_text().replace("[silence]", "[silence] please", 1))
    prepare(copy, tmp_path)
    again = (folder / "corpus.json").stat().st_mtime_ns
    assert again != made
    prepare(copy, tmp_path, "corpus.compat=kaldi")
    assert (folder / "corpus.json").stat().st_mtime_ns != again


def test_subsets_are_of_the_same_utterances_or_fewer(corpora, tmp_path):
    mine = "+corpus.subsets.mine={first: 60, copies: 1}"
    found = {}
    for subset in ("full", "286h", "110h", "mine"):
        folder, about = prepare(corpora, tmp_path / subset, f"corpus.subset={subset}", mine)
        found[subset] = [u.id for u in DataDir.read(folder / "train").utterances]
        assert about["summary"]["subset"] == subset
    # No transcript of so small a corpus comes 200 times.
    assert found["286h"] == found["110h"] == found["full"]
    assert set(found["mine"]) < set(found["full"][:60])
    with pytest.raises(InputError, match="no '300h'"):
        prepare(corpora, tmp_path, "corpus.subset=300h")


def test_kaldi_spelling_differs_only_where_letters_have_a_gap(corpora, tmp_path):
    texts = []
    for compat in ("correct", "kaldi"):
        folder, _ = prepare(corpora, tmp_path / compat, f"corpus.compat={compat}")
        utterances = DataDir.read(folder / "train").utterances
        texts.append([word for u in utterances for word in u.text.split()])
    changed = [(a, b) for a, b in zip(*texts, strict=True) if a != b]
    assert changed and all(re.fullmatch(r"\w+-\w+", a) for a, _ in changed)


def test_a_truncated_recording_is_named_and_its_utterances_are_listed(tmp_path):
    made = (prompts(90, 0), prompts(30, 1), PRONUNCIATIONS)
    replica.make_replica(tmp_path / "replica", *made, seed=3, truncated=True)
    with pytest.raises(InputError, match=r"sw02\d+\.sph: truncated: \d+ of the \d+ bytes"):
        prepare(tmp_path / "replica", tmp_path)
    folder, about = prepare(tmp_path / "replica", tmp_path, "features.max_skipped=0.5")
    skipped = about["summary"]["skipped"]
    assert skipped and len({name.partition("-")[0] for name in skipped}) == 1
    wavs = {p for s in ("train", "dev") for p in DataDir.read(folder / s).wavs.values()}
    assert not any(next(iter(skipped)).partition("-")[0] in path for path in wavs)


def test_a_test_set_without_one_of_its_recordings_is_refused(corpora, tmp_path):
    copy = tmp_path / "corpora"
    shutil.copytree(corpora, copy)
    next((copy / "LDC2002S09").rglob("sw_*.sph")).unlink()
    with pytest.raises(InputError, match=r"eval2000: 1 recordings.*\n.*sw_4390\.sph: no such"):
        prepare(copy, tmp_path)
    assert not (tmp_path / "data" / "switchboard").exists()


def test_shortened_audio_without_sph2pipe_says_what_to_do(corpora, tmp_path, monkeypatch):
    copy = tmp_path / "corpora"
    shutil.copytree(corpora, copy)
    path = next((copy / "LDC97S62").rglob("sw02001.sph"))
    content = path.read_bytes().replace(b"-s4 ulaw\n", b"-s26 ulaw,embedded-shorten-v2.00\n")
    head = content[: content.index(b"end_head\n") + 9].ljust(1024)
    path.write_bytes(head + b"ajkg")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"sw02001\.sph.*sph2pipe") as caught:
        prepare(copy, tmp_path)
    assert "w_decode" in caught.value.remedy


def test_segments_beyond_the_audio_are_skipped_by_name(corpora, tmp_path):
    copy = tmp_path / "corpora"
    shutil.copytree(corpora, copy)
    side = next((copy / "swb_ms98_transcriptions").glob("20/2001/*A-ms98*"))
    side.write_text(side.read_text() + "sw2001A-ms98-a-9999 9000.0 9001.0 too late\n")
    _, about = prepare(copy, tmp_path)
    [(name, why)] = about["summary"]["skipped"].items()
    assert name == "sw02001-A_900000-900100" and "not within" in why
