"""The verb transcribe, on words of tones."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_hf import Recogniser
from asr_hf.cli.main import main
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.ctm import read_ctm
from asr_hf.stages.transcription.transcriber import Transcriber

from .conftest import TONES
from .test_adapt import adapted

__all__ = ["adapted"]

RATE = 8000


@pytest.fixture(scope="session")
def tones(adapted) -> Path:
    """A run whose features are normalised over each utterance, as those of a recording are."""
    return adapted


@pytest.fixture
def run(tones) -> Path:
    return tones / "exp" / "first"


@pytest.fixture
def wavs(tones) -> list[Path]:
    return sorted((tones / "data" / "tones" / "wav").glob("test-*.wav"))


@pytest.fixture
def transcribe(run, capsys):
    """(files and options) -> exit code, standard output, standard error."""

    def call(*given: object, folder: Path = run) -> tuple[int, str, str]:
        capsys.readouterr()
        config = ["--config-dir", TONES[1], "decode.jobs=1"]
        code = main(["transcribe", str(folder), *map(str, given), *config])
        return code, *capsys.readouterr()

    return call


def decoded(run: Path) -> dict[str, str]:
    lines = (run / "decode" / "test" / "hyp.txt").read_text().splitlines()
    return {key: words for key, _, words in (line.partition(" ") for line in lines)}


def test_words_are_those_of_decode(transcribe, run, wavs):
    code, out, err = transcribe(*wavs)
    assert code == 0, err
    found = dict(line.split("\t") for line in out.splitlines())
    assert {Path(key).stem: words for key, words in found.items()} == decoded(run)
    assert any(found.values())


def test_times_are_those_of_decode_and_confidences_are_probabilities(transcribe, run, wavs):
    code, out, _ = transcribe(*wavs, "--format", "json")
    assert code == 0
    expected = read_ctm(run / "decode" / "test" / "words.ctm")
    found = [
        (Path(one["file"]).stem, word["word"], word["start"], word["end"])
        for one in json.loads(out)["recordings"]
        for word in one["words"]
    ]
    times = [(w.recording, w.word, w.start, w.start + w.duration) for w in expected]
    assert [f[:2] for f in found] == [t[:2] for t in times]
    np.testing.assert_allclose([f[2:] for f in found], [t[2:] for t in times], atol=2e-3)
    for one in json.loads(out)["recordings"]:
        assert all(0 < word["confidence"] <= 1 for word in one["words"])
        assert one["text"] == " ".join(word["word"] for word in one["words"])


def test_a_text_of_one_recording_is_its_words_alone(transcribe, run, wavs):
    assert transcribe(wavs[0])[1] == decoded(run)[wavs[0].stem] + "\n"


def test_python_gives_the_words_of_the_command(run, wavs):
    recogniser = Recogniser.load(run, ["--config-dir", TONES[1]])
    for wav in wavs:
        samples, rate = soundfile.read(wav, dtype="int16")
        found = recogniser.transcribe(samples, rate)
        assert found.text == decoded(run)[wav.stem] and found.language == "xx"
    assert recogniser.sample_rate == RATE and found.seconds == len(samples) / rate
    twice = np.repeat(samples / 32768, 2)
    assert len(recogniser.transcribe(twice, 2 * rate).words) == len(found.words)
    for bad, said in ((np.zeros(RATE), "silent"), (np.zeros((2, 9)), "one channel")):
        with pytest.raises(InputError, match=said):
            recogniser.transcribe(bad, RATE)


def test_names_come_from_standard_input(transcribe, run, wavs, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{wavs[0]}\n\n{wavs[1]}\n"))
    assert transcribe("-")[1].count("\n") == 2


def joined(target: Path, wavs: list[Path], pause: float, rate: int = RATE) -> Path:
    """Several recordings in one, with noise between them as there is in them."""
    random = np.random.default_rng(0)
    pieces = []
    for wav in wavs:
        silence = 0.01 * random.normal(size=int(pause * RATE))
        pieces += [soundfile.read(wav)[0], silence]
    soundfile.write(target, np.concatenate(pieces), rate)
    return target


def test_a_long_recording_is_cut_at_its_pauses(transcribe, run, wavs, tmp_path):
    wav = joined(tmp_path / "long.wav", wavs, 0.8)
    code, out, err = transcribe(wav, "--longest", "4", "--format=json")
    assert code == 0, err
    (recording,) = json.loads(out)["recordings"]
    whole = " ".join(decoded(run)[w.stem] for w in wavs).split()
    words = [word["word"] for word in recording["words"]]
    same = sum(a == b for a, b in zip(words, whole, strict=False))
    assert len(words) == len(whole) and same >= 0.9 * len(whole)
    starts = [word["start"] for word in recording["words"]]
    assert starts == sorted(starts)
    # Words of the last recording stand where it does.
    before = soundfile.info(wav).duration - soundfile.info(wavs[-1]).duration - 0.8
    last = [w for w in recording["words"] if w["start"] > before]
    assert len(last) == len(decoded(run)[wavs[-1].stem].split())
    assert recording["words"][-1]["end"] <= soundfile.info(wav).duration


def test_other_rates_channels_and_containers_are_taken(transcribe, run, wavs, tmp_path):
    samples, rate = soundfile.read(wavs[0])
    finer = np.interp(np.arange(4 * len(samples)) / 4, np.arange(len(samples)), samples)
    noise = 0.3 * np.random.default_rng(1).normal(size=len(finer))
    soundfile.write(tmp_path / "a.flac", np.stack([noise, finer], axis=1), 4 * rate)
    assert transcribe(tmp_path / "a.flac", "--channel", "2")[1] == transcribe(wavs[0])[1]
    soundfile.write(tmp_path / "b.flac", np.stack([finer, finer], axis=1), 4 * rate)
    assert transcribe(tmp_path / "b.flac")[1] == transcribe(wavs[0])[1]


@pytest.mark.parametrize(("form", "head"), [("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n\n00:00:0")])
def test_subtitles(transcribe, run, wavs, tmp_path, form, head):
    code, out, _ = transcribe(wavs[0], "--format", form)
    assert code == 0 and out.startswith(head)
    assert re.search(r"00:00:0\d[.,]\d{3} --> 00:00:0\d[.,]\d{3}\n", out)
    assert transcribe(*wavs, "--format", form)[0] == 2
    code, out, _ = transcribe(*wavs, "--format", form, "--output", tmp_path)
    assert code == 0 and len(out.splitlines()) == len(wavs)
    assert (tmp_path / f"{wavs[0].stem}.{form}").is_file()


def test_a_ctm_is_one_that_is_read_back(transcribe, wavs, tmp_path):
    (tmp_path / "all.ctm").write_text(transcribe(*wavs, "--format", "ctm")[1])
    words = read_ctm(tmp_path / "all.ctm")
    assert {word.recording for word in words} == {wav.stem for wav in wavs}
    assert all(word.confidence is not None for word in words)


def test_without_tuned_weights_those_of_the_search_are_taken_and_told(
    transcribe, tones, wavs, tmp_path
):
    copy = tmp_path / "exp" / "first"
    shutil.copytree(tones / "exp" / "first", copy, ignore=shutil.ignore_patterns("decode"))
    code, out, err = transcribe(wavs[0], f"paths.data={tones}/data", folder=copy)
    assert code == 0 and out.strip() and "weights were not tuned" in err


# Arguments that are refused, of files that `bad` makes, and what is said of them.
REFUSED = {
    "missing": (["none.wav"], "none.wav: no such audio file"),
    "silent": (["silent.wav"], "silent: each of its samples is 0"),
    "short": (["short.wav"], "at least a window"),
    "half": (["half.wav"], "half.wav: truncated"),
    "text": (["text.wav"], "text.wav: "),
    "several": (["good.wav", "text.wav", "none.wav"], "2 of 3 recordings"),
    "channel": (["good.wav", "--channel", "2"], "--channel 2, but it has 1"),
    "language": (["good.wav", "--language", "yy"], "one of xx"),
    "format": (["good.wav", "--format", "doc"], "one of text, json, ctm, srt, vtt"),
    "option": (["good.wav", "--formt=ctm"], "did you mean --format?"),
    "longest": (["good.wav", "--longest", "0"], "from 2 to 300"),
    "no files": ([], "no recordings"),
    "same name": (["good.wav", "./good.wav", "--output", "out"], "have the name"),
    "other features": (["good.wav", "features.transforms=[x.ark]"], "features.transforms"),
}


@pytest.fixture
def bad(tmp_path, wavs, monkeypatch) -> Path:
    """A working folder with recordings, most of which are damaged."""
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "short.wav", np.linspace(0, 0.5, 50), RATE)
    (tmp_path / "half.wav").write_bytes(wavs[0].read_bytes()[:3000])
    (tmp_path / "text.wav").write_text("no audio")
    shutil.copy(wavs[0], tmp_path / "good.wav")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_transcribed_is_refused_by_name(transcribe, bad, what):
    given, said = REFUSED[what]
    code, out, err = transcribe(*given)
    assert code == 2 and said in err and out == "", err
    assert "Traceback" not in err


def test_a_folder_that_is_no_run_is_refused(transcribe, bad):
    code, _, err = transcribe("good.wav", folder=bad)
    assert code == 2 and "no run there" in err
    code, _, err = transcribe("good.wav", folder=bad / "none")
    assert code == 2 and "none: no such folder" in err


def test_a_recording_without_words_is_told_after_the_others(transcribe, wavs, monkeypatch):
    add = Transcriber.add

    def deaf(self, found, stretch, heard):
        if found.name != str(wavs[1]):
            add(self, found, stretch, heard)

    monkeypatch.setattr(Transcriber, "add", deaf)
    code, out, err = transcribe(wavs[0], wavs[1])
    assert code == 2 and out.strip() and f"no word was recognised in {wavs[1]}" in err
