from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import asr_hf as asr_hf_package
from asr_hf import __version__
from asr_hf.cli.groups import groups
from asr_hf.cli.help import USED
from asr_hf.cli.verbs import VERBS
from asr_hf.data.backend import in_use
from asr_hf.training.export_formats import FORMATS


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
    recipes = {f"+recipe={name}" for name in groups()["recipe"]}
    assert "+recipe=prompts" in recipes
    assert complete(script, "asr-hf train +rec") == recipes
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
    assert in_use() in outcome.out
    assert asr_hf("info", "exp/half").code == 0
    assert asr_hf("info", "exp/none").code == 2


def test_info_knows_every_recipe_and_how_far_every_corpus_is(asr_hf, tmp_path):
    done = {
        "fresh": ["corpus.json"],
        "half": ["corpus.json", "fbank/train/fbank.json", "fbank/dev/fbank.json"],
        "whole": ["corpus.json", "fbank/dev/fbank.json", "store/dev/store.json"]
        + [f"store-triphone/{name}/store.json" for name in ("train", "dev")]
        + ["lattices/train/lattices.json", "lattices-wide/train/lattices.json"],
        # Of Kaldi's, and directories of one's own: nothing was prepared.
        "theirs": ["store/train/store.json"],
    }
    for name, files in done.items():
        for file in files:
            (tmp_path / "data" / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / name / file).write_text("{}")
    out = asr_hf("info").out
    told = {
        line.split(": ")[0].split("/")[-1]: line.partition(": ")[2] for line in out.splitlines()
    }
    assert told["fresh"] == "prepared; not aligned yet"
    assert told["half"] == "prepared; features of dev, train; not aligned yet"
    assert told["whole"] == (
        "prepared; features of dev; aligned: dev; aligned triphone: dev, train; "
        "lattices: train; lattices wide: train"
    )
    assert told["theirs"] == "aligned: train"
    assert "recipes: fillets, kaldi, prompts, prompts5, prompts5x, queen, switchboard, table" in out


@pytest.mark.parametrize("verb", USED)
def test_help_lists_the_groups_that_a_verb_reads_and_their_options(asr_hf, verb):
    out = asr_hf(verb, "--help").out
    listed = dict(re.findall(r"^  \+?(\w+)= +(\S+\|?\S*)$", out, re.MULTILINE))
    assert listed.keys() == set(USED[verb])
    assert all(listed[group] == "|".join(groups()[group]) for group in listed)


# Groups that set keys of others, and those whose parts trainers refer to.
INDIRECT = {"recipe", "stage", "preset", "debug", "hardware"}
OF_TRAINERS = {"solver", "cg_stopping", "preconditioner", "sampling", "damping", "acceptance"}
OF_TRAINERS |= {"annealing", "schedule"}


@pytest.mark.parametrize("verb", [v for v in USED if v != "config"])
def test_the_groups_of_a_verb_are_those_that_its_code_reads(verb):
    """What a stage's own module reads is listed; what none of its modules reads is not."""
    stages = Path(asr_hf_package.__file__).parent / "stages"
    forms = [f"exports.{name}" for name in FORMATS]
    seen: set[str] = set()

    def sections(name):
        seen.add(name)
        text = (stages / f"{name.replace('.', '/')}.py").read_text()
        found = set(re.findall(r"settings\.(\w+)", text)) & set(groups())
        below = set(re.findall(r"from asr_hf\.stages\.([\w.]+) import", text))
        # Which form is written is known by its name alone.
        below = (below | set(forms if name == "export" else ())) - seen
        return found, set().union(found, *(sections(one)[1] for one in below))

    own, all_of_them = sections(verb)
    listed = set(USED[verb]) - INDIRECT - (OF_TRAINERS if verb == "train" else set())
    # decode.after_training, and export.sets=${decode.sets}.
    through = {"decode"} if verb in ("train", "export") else set()
    assert own <= listed <= all_of_them | through


def test_features_say_what_there_is_now(asr_hf, monkeypatch):
    about = {"frames": 6000, "utterances": 3, "skipped": {}}
    made = {"train": about, "dev": about | {"skipped": {"u1": "too short"}}}
    monkeypatch.setattr("asr_hf.cli.features.run_stage", lambda verb, config: made)
    out = asr_hf("features", "+recipe=prompts").out.splitlines()
    assert out[0].endswith("data/prompts/fbank/train: 3 utterances, 1.0 minutes")
    assert out[1].endswith("data/prompts/fbank/dev: 3 utterances, 1.0 minutes, 1 skipped")
