"""`asr-hf score` without the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from asr_hf.runtime.errors import InputError
from asr_hf.stages.score import run

from ..typed import typed

REFS = {
    "dev": "en-1 one two\nes-1 uno dos tres\n",
    "test": "en-2 three four\nes-2 cuatro\nes-3 cinco seis\n",
}
HYPS = {
    "dev": "en-1 one two\nes-1 uno dos\n",
    "test": "en-2 three for now\nes-2 cuatro\nes-3 cinco seis\n",
}


@pytest.fixture
def config(tmp_path: Path) -> DictConfig:
    corpus, run_dir = tmp_path / "corpus", tmp_path / "exp" / "demo"
    for name in REFS:
        (corpus / name).mkdir(parents=True)
        decoded = run_dir / "decode" / name
        decoded.mkdir(parents=True)
        (decoded / "ref.txt").write_text(REFS[name])
        (decoded / "hyp.txt").write_text(HYPS[name])
        languages = [f"{line.split()[0]} {line[:2]}\n" for line in REFS[name].splitlines()]
        (corpus / name / "utt2lang").write_text("".join(languages))
    (run_dir / "result.json").write_text(json.dumps({"heldout_loss": 1.5}))
    return OmegaConf.create(
        {
            "run_dir": str(run_dir),
            "corpus": {"dir": str(corpus)},
            "decode": {"sets": ["dev", "test"], "max_skipped": 0.5},
        }
    )


def result(config: DictConfig) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(config.run_dir) / "result.json").read_text())
    return found


def test_the_test_set_stands_on_top_with_sets_and_languages_below(config: DictConfig) -> None:
    wer = run(typed(config))
    assert result(config) == {"heldout_loss": 1.5, "wer": wer}
    assert (wer["set"], wer["errors"], wer["words"], wer["percent"]) == ("test", 2, 5, 40.0)
    assert (wer["substitutions"], wer["deletions"], wer["insertions"]) == (1, 0, 1)
    assert wer["sets"]["dev"]["errors"] == 1
    languages = wer["sets"]["test"]["languages"]
    assert {name: one["errors"] for name, one in languages.items()} == {"en": 2, "es": 0}
    assert sum(one["words"] for one in languages.values()) == wer["words"]


def test_scoring_twice_gives_the_same_result(config: DictConfig) -> None:
    assert run(typed(config)) == run(typed(config))


def test_the_table_and_the_worst_utterances_are_written(
    config: DictConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    run(typed(config))
    shown = capsys.readouterr().out
    assert "40.00" in shown
    text = (Path(config.run_dir) / "score.txt").read_text()
    assert shown.strip() in text
    assert "en-2: 2 errors in 2 words" in text
    assert "EVAL:" in text


def test_a_missing_hypothesis_counts_as_deleted_and_is_reported(
    config: DictConfig, caplog: pytest.LogCaptureFixture
) -> None:
    (Path(config.run_dir) / "decode/test/hyp.txt").write_text("en-2 three four\nes-3 cinco seis\n")
    wer = run(typed(config))
    assert (wer["deletions"], wer["words"]) == (1, 5)
    assert "es-2" in caplog.text


def test_too_many_missing_hypotheses_stop_the_scoring(config: DictConfig) -> None:
    (Path(config.run_dir) / "decode/test/hyp.txt").write_text("es-3 cinco seis\n")
    with pytest.raises(InputError, match=r"2 of 3 utterances had to be skipped"):
        run(typed(config))
    assert "wer" not in result(config)


def test_an_utterance_without_language_is_named(config: DictConfig) -> None:
    (Path(config.corpus.dir) / "test/utt2lang").write_text("en-2 en\nes-2 es\n")
    with pytest.raises(InputError, match="es-3 has 0 languages"):
        run(typed(config))


def test_scoring_before_decoding_says_so(config: DictConfig) -> None:
    (Path(config.run_dir) / "decode/test/hyp.txt").unlink()
    with pytest.raises(InputError, match="asr-hf decode"):
        run(typed(config))


def test_without_a_test_set_the_last_one_stands_on_top(config: DictConfig) -> None:
    config.decode.sets = ["dev"]
    assert run(typed(config))["set"] == "dev"
