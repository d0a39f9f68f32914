"""Install the wheel into empty environments and follow the pages for newcomers there.

usage: python scripts/check_wheel.py [--pythons python3.11 python3.13]

Each interpreter gets an environment of its own outside the checkout, which takes 5 GB and is
removed afterwards. There the commands of docs/tutorials/own-recordings.md lead from recordings to
a word error rate, the examples of docs/python.md run, and types are checked as a user's program.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What a type checker must see through the package's lazy names.
_TYPED = """\
from torch import Tensor, nn
import asr_hf
from asr_hf import HessianFree, StochasticHessianFree, TrainedModel, load_model

def step(module: nn.Module, x: Tensor) -> float:
    optimiser = HessianFree(module, nn.MSELoss(), (x, x))
    reveal_type(optimiser.step().heldout_loss)
    return optimiser.step().loss

model: TrainedModel = load_model("exp/first")
version: str = asr_hf.__version__
"""
_TUTORIAL = ROOT / "docs" / "tutorials" / "own-recordings.md"


def main() -> int:
    """Check the wheel with each interpreter."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pythons", nargs="+", default=["python3.11", "python3.13"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, ROOT)
        (wheel,) = Path(folder).glob("asr_hf-*.whl")
        for python in options.pythons:
            check(python, wheel)
    return 0


def check(python: str, wheel: Path) -> None:
    """Install a wheel for one interpreter, and follow the pages.

    Args:
        python: the interpreter.
        wheel: the wheel.
    """
    with tempfile.TemporaryDirectory(prefix="asr-hf-wheel-") as outside:
        environment, work = Path(outside) / "environment", Path(outside) / "work"
        work.mkdir()
        run(python, "-m", "venv", environment)
        inside = environment / "bin" / "python"
        pip = (inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        constraints = ("-c", ROOT / "constraints.txt")
        run(*pip, *constraints, wheel)
        run(environment / "bin" / "asr-hf", "info", cwd=work)
        commands, examples = ROOT / "scripts" / "run_commands.py", ROOT / "scripts" / "run_page.py"
        run(inside, "-P", commands, _TUTORIAL, cwd=work)
        result = json.loads((work / "exp" / "first" / "result.json").read_text(encoding="utf-8"))
        print(f"{python}: own recordings end at {result['wer']['percent']:.1f} % WER")
        (work / "python").mkdir()
        run(inside, "-P", examples, ROOT / "docs" / "python.md", cwd=work / "python")
        run(*pip, *constraints, "mypy")
        (work / "typed.py").write_text(_TYPED, encoding="utf-8")
        run(inside, "-m", "mypy", "--strict", "typed.py", cwd=work)
    print(f"{python}: the pages can be followed, and a user's program is typed")


def run(*command: str | Path, cwd: str | Path | None = None) -> None:
    """Run a command without what this environment adds to the path of modules."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    subprocess.run(command, check=True, cwd=cwd, env=environment)


if __name__ == "__main__":
    sys.exit(main())
