from __future__ import annotations

import os
import subprocess
import sys

import pytest

from asr_hf import __version__
from asr_hf.cli.main import VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_page_of_help(asr_hf, verb):
    outcome = asr_hf(verb, "--help")
    assert outcome.code == 0 and VERBS[verb] in outcome.out and outcome.err == ""


def test_help_names_every_verb_and_no_verb_at_all_is_an_error(asr_hf):
    outcome = asr_hf("--help")
    assert outcome.code == 0 and all(verb in outcome.out for verb in VERBS)
    assert asr_hf().code == 2


def test_a_misspelt_verb_is_mended(asr_hf):
    outcome = asr_hf("trian", "+recipe=prompts")
    assert outcome.code == 2 and "did you mean 'train'?" in outcome.err


def test_the_version_is_that_of_the_package(asr_hf):
    assert asr_hf("--version").out == f"asr-hf {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["config", "+recipe=prompts"]])
def test_nothing_waits_for_torch_that_does_not_need_it(tmp_path, arguments):
    script = (
        "import sys; from asr_hf.cli.main import main\n"
        f"main({arguments})\nsys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt(), 130), (ZeroDivisionError("x / 0"), 1)]
)
def test_failures_have_their_exit_codes_and_no_traceback(asr_hf, monkeypatch, raised, code):
    def fail(arguments):
        raise raised

    monkeypatch.setattr("asr_hf.cli.config.run", fail)
    outcome = asr_hf("config")
    assert outcome.code == code and "Traceback" not in outcome.err
    assert "ZeroDivisionError: x / 0" in outcome.err or code == 130


def test_debug_shows_the_traceback(asr_hf):
    outcome = asr_hf("config", "+recipe=prompt", "--debug")
    assert outcome.code == 2 and "Traceback" in outcome.err


def test_data_that_is_not_there_is_named_with_the_way_to_it(asr_hf, tmp_path):
    outcome = asr_hf("train", "+recipe=switchboard")
    assert outcome.code == 2
    assert all(word in outcome.err for word in ("LDC97S62", "LDC2002S09", "make data-switchboard"))


def test_a_reader_that_goes_away_is_no_traceback(tmp_path):
    line = f"{sys.executable} -m asr_hf config +recipe=prompts | true"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""


def test_a_terminal_without_unicode_gets_its_message(command, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = command("config", "+recipe=λ", env=environment)
    assert done.returncode == 2 and "UnicodeEncodeError" not in done.stderr


def complete(script: str, typed: str) -> set[str]:
    """What bash offers after `typed`."""
    words = typed.split(" ")
    line = (
        f"{script}\nCOMP_LINE={typed!r} COMP_POINT={len(typed)} COMP_CWORD={len(words) - 1}\n"
        '_asr_hf; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_bash_completes_verbs_options_and_keys(asr_hf):
    script = asr_hf("completion", "bash").out
    assert complete(script, "asr-hf de") == {"decode"}
    assert complete(script, "asr-hf train solver=") == {"cg", "flexible_cg"}
    assert complete(script, "asr-hf train +rec") == {
        "+recipe=kaldi",
        "+recipe=prompts",
        "+recipe=prompts5",
        "+recipe=prompts5x",
        "+recipe=switchboard",
        "+recipe=table",
    }
    assert complete(script, "asr-hf train model.hid") == {"model.hidden_sizes="}


@pytest.mark.parametrize(("shell", "code"), [("zsh", 0), ("fish", 0), ("tcsh", 2), ("", 2)])
def test_other_shells_have_a_script_or_a_message(asr_hf, shell, code):
    assert asr_hf("completion", shell).code == code


def test_info_lists_runs_and_says_what_is_no_run(asr_hf, tmp_path):
    (tmp_path / "exp" / "half").mkdir(parents=True)
    (tmp_path / "exp" / "half" / "events.jsonl").write_text(
        '{"iteration": 0, "heldout_loss": 2.5}\n'
    )
    outcome = asr_hf("info")
    assert outcome.code == 0 and "unfinished, held-out loss 2.5000" in outcome.out
    assert asr_hf("info", "exp/half").code == 0
    assert asr_hf("info", "exp/none").code == 2
