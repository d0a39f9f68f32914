"""The wheel and the make targets."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from asr_hf.cli.compose import load_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with what the wheel of this checkout installs."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("out")
    for name in ("pyproject.toml", "setup.py", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("asr_hf", "conf", "recipes"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", out, source]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = out.glob("asr_hf-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "site")
    return out / "site"


@pytest.mark.parametrize("tree", ["conf", "recipes"])
def test_the_wheel_carries_every_file_of(installed, tree):
    def files(root: Path) -> set[str]:
        found = (p.relative_to(root) for p in root.rglob("*") if p.is_file())
        return {str(p) for p in found if "__pycache__" not in p.parts}

    assert files(ROOT / tree) == files(installed / "asr_hf" / tree) != set()


def test_the_installed_command_works_in_any_folder_without_the_checkout(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    script = (
        "from asr_hf.runtime.resources import conf_dir, load_recipe\n"
        "from asr_hf.cli.main import main\n"
        "print(conf_dir(), load_recipe('prompts').__file__)\n"
        "raise SystemExit(main(['config', '+recipe=prompts5']))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0].split()
    assert all(path.startswith(str(installed)) for path in first)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Without what a make that runs these tests has handed down.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)


def test_make_alone_lists_the_targets():
    listed = make().stdout
    data = ("prompts", "prompts5", "prompts5x", "queen", "fillets", "switchboard")
    for target in ("setup", "test", "demo", *(f"data-{name}" for name in data)):
        assert f"\n  {target} " in listed


@pytest.mark.parametrize(
    "recipe", ["prompts", "prompts5", "prompts5x", "queen", "fillets", "switchboard"]
)
def test_data_targets_run_the_stages_in_order(recipe):
    lines = make("-n", f"data-{recipe}", "ARGS=corpus.source=/x").stdout.splitlines()
    commands = [line.split() for line in lines if f"+recipe={recipe} " in line]
    assert [words[1] for words in commands] == ["prepare", "features", "align"]
    assert all(words[2:] == [f"+recipe={recipe}", "corpus.source=/x"] for words in commands)


def test_folders_of_the_licensed_corpora_become_overrides():
    given = ["SWBD=/a", "MSU=/with a blank", "RT03=/c", "FISHER=/d,/e f", "CONV_TAB=/conv.tab"]
    lines = make("-n", "data-switchboard", *given, "ARGS=corpus.subset=110h").stdout.splitlines()
    commands = [shlex.split(line)[2:] for line in lines if "+recipe=switchboard" in line]
    assert len(commands) == 3 and commands[0] == commands[1] == commands[2]
    found = load_config(commands[0]).corpus
    assert (found.swbd, found.msu, found.rt03) == ("/a", "/with a blank", "/c")
    assert (list(found.fisher), found.conv_tab) == (["/d", "/e f"], "/conv.tab")
    assert (list(found.sets), found.subset) == (["train", "dev", "rt03"], "110h")
    assert (found.eval2000, found.hub5_refs) == (None, None)


def test_a_machine_without_a_fit_python_is_told_what_to_install(tmp_path):
    done = make(f"VENV={tmp_path}/none", "PYTHON=", "setup")
    assert done.returncode != 0 and "python3-venv" in done.stderr
    assert not (tmp_path / "none").exists()
