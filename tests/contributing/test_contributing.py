"""CONTRIBUTING.md's lists are whole: a copy of the project that follows them passes its tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = Path(__file__).parent / "examples"
OWN = ROOT / "tests" / "own_classes"
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# Tests that look at every option and every module.
WATCHING = ("tests/test_architecture.py", "tests/conf/test_conf.py", "tests/conf/test_pairs.py")
# What a copy consists of.
PARTS = (
    *("asr_hf", "conf", "recipes", "Makefile", "pyproject.toml", "docs/architecture.md"),
    *("setup.py", "constraints.txt", "constraints-newest.txt"),
    # With what the first of them imports.
    *("tests/conftest.py", "tests/command.py", "tests/composed.py", "tests/toy_store.py"),
    "tests/unsynced.py",
    *("tests/kaldi", *WATCHING),
)


@dataclass(frozen=True)
class Line:
    """A text that is added to a file behind another, which stands there once."""

    after: str
    added: str


@dataclass(frozen=True)
class Change:
    """An example of what a section describes.

    Args:
        name: NAME.
        files: the text of each new file of the section's list, or what is added to one.
        lists: how many of the section's lists it follows.
    """

    name: str
    files: dict[str, str | list[Line]]
    lists: int = 1

    @property
    def test(self) -> str:
        """Its test file."""
        (found,) = (path for path in self.files if path.startswith("tests/"))
        return found.replace("NAME", self.name)


def own(path: str, *changes: tuple[str, str]) -> str:
    """A file of the package that docs/your-classes.md describes, as a part of asr-hf."""
    text = (OWN / path).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def example(path: str) -> str:
    return (EXAMPLES / path).read_text(encoding="utf-8")


CHANGES = {
    "model": Change(
        "residual",
        {
            "asr_hf/models/NAME.py": own(
                "mine/models.py", ("    def inputs(", example("size.txt") + "\n    def inputs(")
            ),
            "asr_hf/models/registry.py": [
                Line(
                    "from asr_hf.models.dnn import DNN\n",
                    "from asr_hf.models.residual import Residual\n",
                ),
                Line('"tdnn": TDNN', ', "residual": Residual'),
            ],
            "conf/model/NAME.yaml": own(
                "conf/model/residual.yaml", ("mine.models", "asr_hf.models.residual")
            ),
            "tests/models/test_NAME.py": example("check_residual.py"),
        },
    ),
    "criterion": Change(
        "smoothed",
        {
            "asr_hf/criteria/NAME.py": own("mine/criteria.py"),
            "conf/criterion/NAME.yaml": own(
                "conf/criterion/smoothed.yaml", ("mine.criteria", "asr_hf.criteria.smoothed")
            ),
            "tests/criteria/test_NAME.py": example("check_smoothed.py"),
        },
    ),
    "criterion with targets": Change(
        "graph_error",
        {
            "asr_hf/criteria/NAME.py": example("graph_error.py"),
            "conf/criterion/NAME.yaml": "# Graphs.\n"
            "_target_: asr_hf.criteria.graph_error.GraphError\n",
            "tests/criteria/test_NAME.py": example("check_graph_error.py"),
            "asr_hf/criteria/needs.py": [
                Line('    LATTICES = "lattices"\n', '    GRAPHS = "graphs"\n'),
            ],
            "asr_hf/training/feeding/targets.py": [
                Line(
                    "    return np.asarray(phones, np.int64)\n",
                    "\n\nclass ArcTargets(LabelTargets):\n    pass\n",
                ),
            ],
            "asr_hf/stages/training/targets.py": [
                Line("from asr_hf.training.feeding.targets import (\n", "    ArcTargets,\n"),
                Line(
                    "            return _lattice_targets(settings, stores, model)\n",
                    "        case Targets.GRAPHS:\n            return ArcTargets()\n",
                ),
            ],
            "asr_hf/stages/training/run_inputs.py": [
                Line(
                    "    digests: dict[str, str] = {}\n",
                    "    if criterion_needs(settings.criterion).targets is Targets.GRAPHS:\n"
                    '        digests["graphs"] = "of a file"\n',
                ),
            ],
        },
        lists=2,
    ),
    "corpus": Change(
        "tones",
        {
            "recipes/NAME/__init__.py": '"""The recipe for a small corpus."""\n',
            "recipes/NAME/prepare.py": own("mine/recipe.py"),
            "recipes/NAME/README.md": "# Words of two tones\n\nNeeds nothing.\n",
            "conf/corpus/NAME.yaml": own("conf/corpus/tones.yaml", ("mine.recipe", "tones")),
            "conf/recipe/NAME.yaml": own("conf/recipe/tones.yaml"),
            "Makefile": [Line("RECIPES := prompts", " tones")],
            "tests/recipes/test_NAME.py": example("check_tones.py"),
        },
    ),
    "export": Change(
        "textgrid",
        {
            "asr_hf/stages/exports/NAME.py": example("textgrid.py"),
            "asr_hf/training/export_formats.py": [
                Line(
                    "FORMATS = {\n",
                    '    "textgrid": ExportFormat("<set>/*.TextGrid, for Praat"),\n',
                )
            ],
            "tests/stages/test_NAME.py": example("check_textgrid.py"),
        },
    ),
    "preconditioner": Change(
        "running",
        {
            "asr_hf/hf/preconditioners/NAME.py": own("mine/preconditioners.py"),
            "conf/preconditioner/NAME.yaml": own(
                "conf/preconditioner/running.yaml",
                ("mine.preconditioners", "asr_hf.hf.preconditioners.running"),
            ),
            "tests/hf/test_NAME.py": example("check_running.py"),
        },
    ),
}


def listed(kind: str) -> list[list[str]]:
    """The lists of files of a section, of each file its path."""
    noun = kind.partition(" ")[0]
    (section,) = re.findall(rf"^## How do I add an? {noun}\?\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    blocks = re.findall(r"(?:^- .*\n)+", section, re.M)
    return [re.findall(r"^- `([^`]+)`: ", block, re.M) for block in blocks]


def make_copy(root: Path, edits: bool) -> Path:
    """Copy the project to `root` and do in it what all lists say, with or without the edits."""
    for part in PARTS:
        target = root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, target)
    for change in CHANGES.values():
        for place, made in change.files.items():
            path = root / place.replace("NAME", change.name)
            if isinstance(made, str):
                assert not path.exists()
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(made, encoding="utf-8")
            elif edits:
                text = path.read_text(encoding="utf-8")
                for line in made:
                    assert text.count(line.after) == 1
                    text = text.replace(line.after, line.after + line.added)
                path.write_text(text, encoding="utf-8")
    return root


def failures(root: Path) -> tuple[set[str], str]:
    """Test files of the copy in which something fails, and all that was said.

    Those of the changes are run, and those of the rest that concern new options and modules.
    """
    files = [*(change.test for change in CHANGES.values()), *WATCHING]
    names = " or ".join(["test_architecture", *(change.name for change in CHANGES.values())])
    options = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", "-k", names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return set(re.findall(r"^(?:FAILED|ERROR) (tests/[\w/]+\.py)", done.stdout, re.M)), done.stdout


@pytest.mark.parametrize("kind", CHANGES)
def test_the_list_has_the_files_that_the_example_changes(kind):
    blocks = listed(kind)[: CHANGES[kind].lists]
    assert [place for block in blocks for place in block] == list(CHANGES[kind].files)


def test_every_list_is_followed():
    followed: dict[str, int] = {}
    for kind, change in CHANGES.items():
        assert len(listed(kind)) >= change.lists
        noun = kind.partition(" ")[0]
        followed[noun] = max(change.lists, followed.get(noun, 0))
    assert followed == {
        noun: len(listed(noun)) for noun in re.findall(r"^## How do I add an? (\w+)\?", PAGE, re.M)
    }


@pytest.mark.parametrize("kind", CHANGES)
def test_a_file_is_new_where_the_list_says_so(kind):
    for place in (place for block in listed(kind) for place in block):
        (what,) = re.findall(rf"^- `{re.escape(place)}`: (.*)$", PAGE, re.M)
        assert what.startswith("new") == ("NAME" in place)
        assert "NAME" in place or (ROOT / place).is_file(), place


def test_a_copy_that_follows_all_lists_passes(tmp_path):
    failed, said = failures(make_copy(tmp_path, edits=True))
    assert not failed, said


def test_no_edit_of_a_list_can_be_left_out(tmp_path):
    failed, said = failures(make_copy(tmp_path, edits=False))
    edited = [c for c in CHANGES.values() if not all(isinstance(f, str) for f in c.files.values())]
    for change in CHANGES.values():
        assert (change.test in failed) == (change in edited), said
