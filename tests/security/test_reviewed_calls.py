"""Every place where data could become code stands in the table of docs/durability.md.

A new place fails here until somebody has thought about what reaches it and written that down.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# By their whole name, then by the end of a dotted one.
BARE = {"eval", "exec", "compile", "__import__"}
CALLS = {
    *("instantiate", "get_class", "get_method", "get_object", "hydra.main"),
    *("import_module", "CDLL"),
    *("subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_output"),
    *("run_command", "run_text_command"),
    *("os.system", "os.popen", "os.execv", "os.execvp", "os.spawnv", "Pool"),
    *("pickle.load", "pickle.loads", "marshal.loads", "shelve.open", "torch.load", "np.load"),
    *("yaml.load", "yaml.unsafe_load", "OmegaConf.load", "attrgetter", "methodcaller"),
    *("ProcessPoolExecutor", "find_class", "find_module", "class_named"),
}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls_in(source: str) -> set[str]:
    """The calls of a module that must be reviewed, by the ends of their names."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        found |= {call for call in CALLS if name == call or name.endswith(f".{call}")}
        found |= {name} & BARE
        if name == "compose" and "from hydra import" in source:
            found.add(name)
        literal = len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
        if name == "getattr" and not literal:
            found.add("getattr")
        if any(k.arg == "shell" for k in node.keywords):
            found.add("shell=")
        if any(
            k.arg == "allow_pickle"
            and not (isinstance(k.value, ast.Constant) and not k.value.value)
            for k in node.keywords
        ):
            found.add("allow_pickle=")
    return found


def places() -> set[tuple[str, str]]:
    found = set()
    for folder in ("asr_hf", "recipes"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            found |= {(name, call) for call in calls_in(path.read_text(encoding="utf-8"))}
    return found


def reviewed() -> set[tuple[str, str]]:
    text = (ROOT / "docs" / "durability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w/]+\.py)` \| (.+?) \|", text, re.MULTILINE)
    return {(path, call) for path, calls in rows for call in re.findall(r"`([^`]+)`", calls)}


def test_every_place_is_in_the_table_and_every_row_is_a_place():
    missing, gone = places() - reviewed(), reviewed() - places()
    assert not missing, f"add to the table of docs/durability.md: {sorted(missing)}"
    assert not gone, f"no longer there: {sorted(gone)}"


@pytest.mark.parametrize(
    ("source", "call"),
    [
        ("import torch\ntorch.load(p)", "torch.load"),
        ("hydra.utils.instantiate(c)", "instantiate"),
        ("getattr(module, name)", "getattr"),
        ("subprocess.run(c, shell=True)", "shell="),
        ("np.load(p, allow_pickle=flag)", "allow_pickle="),
        ("numpy.load(p, allow_pickle=True)", "allow_pickle="),
        ("eval(text)", "eval"),
        ("importlib.import_module(x)", "import_module"),
        ("omegaconf.OmegaConf.load(p)", "OmegaConf.load"),
    ],
)
def test_the_review_sees_such_places(source, call):
    assert call in calls_in(source)


@pytest.mark.parametrize(
    "source",
    [
        "re.compile('a')",
        "model.eval()",
        "getattr(x, 'name', None)",
        "np.save(p, a, allow_pickle=False)",
    ],
)
def test_the_review_leaves_harmless_ones_alone(source):
    assert not calls_in(source)


def test_nothing_from_outside_is_unpickled_or_evaluated():
    # A worker sees whether its own error can be sent to its parent.
    own = {("asr_hf/runtime/workers.py", "pickle.loads")}
    found = [
        (path, call)
        for path, call in places() - own
        if call in ("eval", "exec", "torch.load", "pickle.load", "pickle.loads", "shell=")
        or call in ("allow_pickle=", "os.system", "yaml.unsafe_load")
    ]
    assert not found
