"""What was recognised in the time of recordings, and its scoring by NIST's script as a stage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from asr_hf.data.kaldi_dir import DataDir, Utterance, write_table
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.hub5 import hubscr_command
from asr_hf.stages.score import run
from asr_hf.stages.sources.recordings import recognised_words

from ...typed import typed

STM = """;; CATEGORY "0" "" ""
;; LABEL "O" "Overall" "Overall"
sw_1 A sw_1_A 0.00 1.00 <O> I CANNOT GO
sw_1 B sw_1_B 0.50 1.50 <O> (%HESITATION) THE TV SET
sw_1 A sw_1_A 2.00 3.00 <O> IGNORE_TIME_SEGMENT_IN_SCORING
en_1 A en_1_A 0.00 2.00 <O> I B M
en_1 B en_1_B 0.00 2.00 <O> YES
"""
GLM = """;; small.glm
* name "small"
* desc "two rules"
* format = 'NIST1'
* max_nrules = '10'
* copy_no_hit = 'T'
* case_sensitive = 'F'
[CANNOT] => [CAN NOT] / [ ] __ [ ]
[TELEVISION] => [TV] / [ ] __ [ ]
"""
# Utterance -> start, reference, and words recognised with their starts in it.
DECODED = {
    # Right by the first rule.
    "sw_1-A_000000-000100": (0.0, "i cannot go", "i:0.0 can:0.2 not:0.4 go:0.6"),
    # Right by the second rule, without the hesitation; a partial word does not count.
    "sw_1-B_000050-000150": (0.45, "the tv set", "the:0.1 th-:0.3 television:0.4 set:0.7"),
    # A letter wrong, in one spelled word; no sound counts.
    "en_1-A_000000-000200": (0.0, "i b m", "[noise]:0.0 i._b._n.:0.5"),
    # A word too many.
    "en_1-B_000000-000200": (0.0, "yes", "yes:0.2 sir:0.8"),
}


@pytest.fixture
def config(tmp_path: Path) -> DictConfig:
    """A set of two conversations with stm and glm, and a run that has decoded it."""
    utterances = [
        Utterance(name, name[:6], name[:6], "AB".index(name[5]), start, start + 1.2, text, "en")
        for name, (start, text, _) in DECODED.items()
    ]
    folder = tmp_path / "corpus" / "eval"
    DataDir(folder, utterances, {u.recording: "/a.sph" for u in utterances}).write()
    sides = {u.recording for u in utterances}
    write_table(folder / "reco2file_and_channel", ((s, f"{s[:-2]} {s[-1]}") for s in sides))
    (folder / "stm").write_text(STM)
    (folder / "glm").write_text(GLM)
    decoded = tmp_path / "run" / "decode" / "eval"
    decoded.mkdir(parents=True)
    words = {u: [w.rpartition(":") for w in text.split()] for u, (_, _, text) in DECODED.items()}
    (decoded / "ref.txt").write_text("".join(f"{u} {d[1]}\n" for u, d in DECODED.items()))
    hyps = (f"{u} {' '.join(w for w, _, _ in said)}\n" for u, said in words.items())
    (decoded / "hyp.txt").write_text("".join(hyps))
    (decoded / "words.ctm").write_text(
        "".join(f"{u} 1 {s} 0.100 {w}\n" for u, said in words.items() for w, _, s in said)
    )
    return OmegaConf.create(
        {
            "run_dir": str(tmp_path / "run"),
            "corpus": {"dir": str(tmp_path / "corpus"), "subsets_scored": {"eval": ["sw_", "en_"]}},
            "decode": {"sets": ["eval"], "max_skipped": 0.5},
        }
    )


def drop_times(config: DictConfig, utterance: str) -> None:
    ctm = Path(config.run_dir) / "decode" / "eval" / "words.ctm"
    kept = [line for line in ctm.read_text().splitlines() if not line.startswith(utterance)]
    ctm.write_text("".join(f"{line}\n" for line in kept))


def test_words_get_the_times_file_and_channel_of_their_recording(config: DictConfig) -> None:
    found = {w.word: w for w in recognised_words(typed(config), "eval")}
    assert (found["set"].recording, found["set"].channel) == ("sw_1", "B")
    assert found["set"].start == pytest.approx(1.15)
    assert (found["go"].channel, found["go"].start, found["go"].duration) == ("A", 0.6, 0.1)


def test_words_without_times_are_spread_over_their_utterance(config: DictConfig) -> None:
    drop_times(config, "sw_1-B")
    found = [
        w for w in recognised_words(typed(config), "eval") if (w.recording, w.channel)[1] == "B"
    ]
    mine = [w for w in found if w.recording == "sw_1"]
    assert [w.word for w in mine] == ["the", "th-", "television", "set"]
    assert [w.start for w in mine] == pytest.approx([0.45, 0.75, 1.05, 1.35])
    assert [w.duration for w in mine] == pytest.approx([0.3] * 4)


@pytest.mark.parametrize("name", ["words.ctm", "hyp.txt"])
def test_words_of_no_utterance_are_refused(config: DictConfig, name: str) -> None:
    path = Path(config.run_dir) / "decode" / "eval" / name
    stranger = "fsh_1 1 0.0 0.1 hi\n" if name == "words.ctm" else "fsh_1 hi\n"
    path.write_text(path.read_text() + stranger)
    with pytest.raises(InputError, match="fsh_1: decoded, but no such utterance"):
        recognised_words(typed(config), "eval")


@pytest.mark.skipif(hubscr_command() is None, reason="NIST's hubscr.pl is not installed")
def test_the_score_stage_adds_nist_s_figures_and_loses_no_word_without_times(
    config: DictConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    drop_times(config, "sw_1-B")
    wer = run(typed(config))
    found = {part: (one["errors"], one["words"]) for part, one in wer["hub5"].items()}
    # The hesitation is a word of the reference that may be left out.
    assert found == {"eval": (2, 12), "eval sw_": (0, 8), "eval en_": (2, 4)}
    assert wer["hub5"]["eval en_"]["percent"] == 50.0
    shown = capsys.readouterr().out
    assert "eval en_ (hubscr)" in shown and "eval (ours)" in shown and "not comparable" in shown
    assert json.loads((Path(config.run_dir) / "result.json").read_text())["wer"] == wer


def test_without_hubscr_our_own_figures_are_called_so(
    config: DictConfig,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert run(typed(config))["hub5"] == {}
    assert "sctk" in caplog.text
    shown = capsys.readouterr().out
    assert "eval (ours)" in shown and "not comparable" in shown and "(hubscr)" not in shown
