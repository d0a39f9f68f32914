"""The package is laid out as docs/architecture.md says; computed from the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = "asr_hf"
MODULE_LINES, FUNCTION_LINES = 300, 60
# Longer than that today, and the most that they may have. Entries only shrink and go.
LONGER_MODULES: dict[str, int] = {}
LONGER_FUNCTIONS: dict[str, int] = {}


def sources(root: Path) -> dict[str, Path]:
    """Every module of the package below `root`, by its full name."""
    found = {}
    for path in (root / PACKAGE).rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, modules: dict[str, Path]) -> set[str]:
    """Modules of the package that one of them imports, anywhere in it.

    Whoever imports a module runs its packages' __init__ as well. Where the end of a name is
    computed (import_module(f"asr_hf.stages.{verb}")), all modules that it may be are counted.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, [_parent(name, path, node.level), node.module]))
            found.update(f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found.update(_computed(node.args[0], modules))
    packages = {one.rpartition(".")[0] for one in found} | found
    while above := {one.rpartition(".")[0] for one in packages} - packages:
        packages |= above
    own = {name, *(".".join(name.split(".")[:n]) for n in range(1, name.count(".") + 1))}
    return packages & modules.keys() - own


def _parent(name: str, path: Path, level: int) -> str:
    if not level:
        return ""
    parts = name.split(".")
    return ".".join(parts[: len(parts) - level + (path.name == "__init__.py")])


def _computed(argument: ast.expr, modules: dict[str, Path]) -> Iterator[str]:
    if isinstance(argument, ast.Constant):
        yield str(argument.value)
    elif isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
        start = str(argument.values[0].value)
        yield from (m for m in modules if m.startswith(start) and "." not in m[len(start) :])


def graph(root: Path) -> dict[str, set[str]]:
    """What every module imports."""
    modules = sources(root)
    return {name: imported(name, path, modules) for name, path in modules.items()}


def circle(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import one another in a circle, if there are any."""
    left = dict(imports)
    while free := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in free}
    if not left:
        return []
    way = [min(left)]
    while way[-1] not in way[:-1]:
        way.append(min(left[way[-1]] & left.keys()))
    return way[way.index(way[-1]) :]


def rooms() -> list[str]:
    """The rooms of the page's table, from the ground up."""
    return re.findall(r"^\| `(\w+)/` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def upward(imports: dict[str, set[str]], order: list[str]) -> list[str]:
    """Imports of a room from one that stands below it in the table."""

    def height(name: str) -> int:
        parts = name.split(".")
        if len(parts) == 1:  # the version
            return -1
        return order.index(parts[1]) if parts[1] in order else len(order)

    # The package itself is the door for programs in Python: late, and for type checkers.
    return [
        f"{name} imports {other}"
        for name, others in sorted(imports.items())
        for other in sorted(others)
        if name != PACKAGE and height(other) > height(name)
    ]


def parts(imports: dict[str, set[str]], room: str) -> dict[str, set[str]]:
    """What the parts of a room import of one another.

    A part is a package of the room with everything in it, or a module that lies directly in it.
    """

    def part(name: str) -> str:
        return ".".join(name.split(".")[:3])

    inside = f"{PACKAGE}.{room}."
    found: dict[str, set[str]] = {}
    for name, others in imports.items():
        if name.startswith(inside):
            theirs = {part(other) for other in others if other.startswith(inside)}
            found.setdefault(part(name), set()).update(theirs - {part(name)})
    return found


def long_functions(modules: dict[str, Path], limit: int) -> dict[str, int]:
    """Functions and methods with more lines than that, decorators apart."""
    found = {}
    for name, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if (lines := node.end_lineno - node.lineno + 1) > limit:
                    found[f"{name}.{node.name}"] = lines
    return found


def long_modules(modules: dict[str, Path], limit: int) -> dict[str, int]:
    counted = {n: len(p.read_text(encoding="utf-8").splitlines()) for n, p in modules.items()}
    return {name: lines for name, lines in counted.items() if lines > limit}


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    return graph(ROOT)


def test_there_is_no_circle(imports):
    assert circle(imports) == []


def test_a_room_imports_only_from_rooms_above_it_in_the_table(imports):
    assert upward(imports, rooms()) == []


@pytest.mark.parametrize("room", rooms())
def test_there_is_no_circle_between_the_parts_of_a_room(imports, room):
    assert circle(parts(imports, room)) == []


def test_the_table_has_every_room():
    folders = {path.parent.name for path in (ROOT / PACKAGE).glob("*/__init__.py")}
    assert set(rooms()) == folders and len(rooms()) == len(folders)


@pytest.mark.parametrize(
    ("room", "may_import"),
    [("curvature", {"runtime", "curvature"}), ("hf", {"runtime", "curvature", "hf"})],
)
def test_the_optimiser_knows_nothing_of_speech(imports, room, may_import):
    known = {
        other
        for name, others in imports.items()
        if name.split(".")[1:2] == [room]
        for other in others
    }
    assert {name.split(".")[1] for name in known if "." in name} <= may_import


def libraries(path: Path) -> set[str]:
    """The packages that a module imports, anywhere in it, by their first names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= {
                str(a.value).partition(".")[0] for a in node.args if isinstance(a, ast.Constant)
            }
    return found


def test_hydra_is_met_in_the_command_alone():
    paths = [*sources(ROOT).values(), *(ROOT / "recipes").rglob("*.py")]
    outside = [path for path in paths if ROOT / PACKAGE / "cli" not in path.parents]
    assert len(outside) < len(paths)
    met = {str(p.relative_to(ROOT)): libraries(p) & {"hydra", "omegaconf"} for p in outside}
    assert {path: names for path, names in met.items() if names} == {}


def test_torchaudio_is_imported_in_one_module_alone():
    folders = (PACKAGE, "benchmarks", "recipes", "scripts", "tests")
    paths = {path for folder in folders for path in (ROOT / folder).rglob("*.py")}
    met = {str(p.relative_to(ROOT)) for p in paths if "torchaudio" in libraries(p)}
    assert met == {"asr_hf/data/backend.py"}


def test_numba_is_imported_where_loops_are_compiled_alone():
    met = {str(p.relative_to(ROOT)) for p in sources(ROOT).values() if "numba" in libraries(p)}
    kernels = {path for path in met if path.startswith("asr_hf/criteria/kernels/")}
    assert kernels and met - kernels == {"asr_hf/criteria/compiled.py"}


def test_a_late_import_of_hydra_is_found(tmp_path):
    path = tmp_path / "late.py"
    for text in (
        "import hydra.utils",
        "from omegaconf import DictConfig",
        "def late():\n    from hydra.utils import instantiate",
        "import_module('omegaconf')",
    ):
        path.write_text(text)
        assert libraries(path) & {"hydra", "omegaconf"}, text


def test_settings_know_the_ground_floor_alone(imports):
    known = {
        other.split(".")[1]
        for name, others in imports.items()
        if name.split(".")[1:2] == ["settings"]
        for other in others
        if "." in other
    }
    assert known <= {"runtime", "settings"}


@pytest.mark.parametrize(
    ("find", "limit", "allowed"),
    [
        (long_modules, MODULE_LINES, LONGER_MODULES),
        (long_functions, FUNCTION_LINES, LONGER_FUNCTIONS),
    ],
    ids=["modules", "functions"],
)
def test_modules_and_functions_are_short(find, limit, allowed):
    found = find(sources(ROOT), limit)
    assert {name: lines for name, lines in found.items() if lines > allowed.get(name, limit)} == {}
    assert set(allowed) <= set(found), "these are short now: take them out of the list"


MADE = {
    "__init__": "",
    "__main__": "from asr_hf.cli.main import main",
    "data/__init__": "",
    "data/one": "from . import two",
    "data/two": "",
    "data/inner/__init__": "",
    "data/inner/three": "from ..two import x\nfrom .four import y",
    "data/inner/four": "import json",
    "cli/__init__": "",
    "cli/main": "import importlib\nrun = importlib.import_module(f'asr_hf.cli.{verb}').run",
    "cli/train": "from asr_hf import __version__\nfrom asr_hf.data import one",
}


@pytest.fixture
def made(tmp_path):
    """A package without fault, and what changes in its modules make of its imports."""

    def make(**changes: str) -> dict[str, set[str]]:
        given = MADE | {name.replace("__", "/"): text for name, text in changes.items()}
        for name, text in given.items():
            path = tmp_path / PACKAGE / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return graph(tmp_path)

    return make


def test_every_way_to_import_is_seen(made):
    imports = made()
    assert imports["asr_hf.data.one"] == {"asr_hf.data.two"}
    assert imports["asr_hf.data.inner.three"] == {"asr_hf.data.two", "asr_hf.data.inner.four"}
    assert imports["asr_hf.data.inner.four"] == set()
    assert imports["asr_hf.cli.main"] == {"asr_hf.cli.train"}
    assert imports["asr_hf.cli.train"] == {"asr_hf.data", "asr_hf.data.one"}
    assert circle(imports) == [] and upward(imports, ["data", "cli"]) == []


@pytest.mark.parametrize(
    "text",
    [
        "from asr_hf.data.one import x",
        "import asr_hf.data.one as other",
        "from .one import x",
        "from asr_hf.data import one",
        "def late():\n    from asr_hf.data.one import x",
        "if TYPE_CHECKING:\n    from asr_hf.data.one import X",
        "importlib.import_module('asr_hf.data.one')",
        "from .inner import three",
        "def late(name):\n    import_module(f'asr_hf.data.{name}')",
    ],
)
def test_a_circle_is_found_however_it_is_closed(made, text):
    imports = made(data__two=text)
    found = circle(imports)
    assert found[0] == found[-1] and "asr_hf.data.two" in found
    assert all(other in imports[name] for name, other in pairwise(found))


def test_a_circle_between_parts_is_found_where_modules_have_none(made):
    imports = made(data__two="from asr_hf.data.inner import four")
    assert circle(imports) == []
    expected = {"asr_hf.data.inner": {"asr_hf.data.two"}, "asr_hf.data.two": {"asr_hf.data.inner"}}
    found = parts(imports, "data")
    assert expected.items() <= found.items() and found["asr_hf.data.one"] == {"asr_hf.data.two"}
    assert circle(found) == ["asr_hf.data.inner", "asr_hf.data.two", "asr_hf.data.inner"]


@pytest.mark.parametrize("room", ["cli.train", "cli", "__main__"])
def test_an_upward_import_is_found(made, room):
    found = upward(made(data__two=f"def late():\n    import asr_hf.{room}"), ["data", "cli"])
    assert f"asr_hf.data.two imports asr_hf.{room}" in found


def test_long_functions_and_modules_are_found(tmp_path):
    path = tmp_path / "long.py"
    path.write_text("class A:\n    @cached\n    def f(self):\n        x = 1\n        return x\n")
    assert long_functions({"long": path}, 2) == {"long.f": 3}
    assert long_functions({"long": path}, 3) == {}
    assert long_modules({"long": path}, 4) == {"long": 5} and not long_modules({"long": path}, 5)
