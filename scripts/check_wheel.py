"""Install the wheel into fresh environments and run the examples of docs/python.md there.

usage: python scripts/check_wheel.py [--pythons python3.11 python3.13] [--folder build/wheel-check]

Each interpreter gets an environment of its own below the folder, which takes 5 GB and some minutes.
The examples run in an empty folder outside the checkout; types are checked as a user's program.
"""

from __future__ import annotations

import argparse
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
"""


def main() -> int:
    """Check the wheel with each interpreter."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pythons", nargs="+", default=["python3.11", "python3.13"])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "wheel-check")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("asr_hf-*.whl"):
        old.unlink()
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, ROOT)
    (wheel,) = folder.glob("asr_hf-*.whl")
    for python in options.pythons:
        check(python, wheel, folder / python)
    return 0


def check(python: str, wheel: Path, environment: Path) -> None:
    """Install the wheel for one interpreter and run the examples."""
    inside = environment / "bin" / "python"
    if not inside.exists():
        run(python, "-m", "venv", environment)
    pip = (inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "-c", ROOT / "constraints.txt", wheel, "mypy")
    run(*pip, "--no-deps", "--force-reinstall", wheel)
    with tempfile.TemporaryDirectory() as empty:
        script, page = ROOT / "scripts" / "run_page.py", ROOT / "docs" / "python.md"
        run(inside, "-P", script, page, cwd=empty)
        (Path(empty) / "typed.py").write_text(_TYPED, encoding="utf-8")
        run(inside, "-m", "mypy", "--strict", "typed.py", cwd=empty)
    print(f"{python}: the examples run, and a user's program is typed")


def run(*command: str | Path, cwd: str | Path | None = None) -> None:
    """Run a command without what this environment adds to the path of modules."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    subprocess.run(command, check=True, cwd=cwd, env=environment)


if __name__ == "__main__":
    sys.exit(main())
