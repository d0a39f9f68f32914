"""The optimiser's parts that the configuration offers, so that tests meet every one of them."""

from __future__ import annotations

from functools import cache
from typing import Any

from hydra.utils import get_class, instantiate

from asr_hf.cli.compose import load_config
from asr_hf.cli.groups import groups

PARTS = ("solver", "cg_stopping", "preconditioner", "sampling", "damping", "acceptance")
# What suits a problem of a few hundred frames; an option that is not here has its own settings.
SMALL: dict[str, dict[str, Any]] = {
    "fixed": {"curvature": 0.5},
    "geometric": {
        "gradient": 0.3,
        "curvature": 0.2,
        "curvature_most": 0.8,
        "curvature_growth": 1.5,
    },
    "variance": {"gradient": 0.3, "curvature": 0.8, "curvature_most": 1.0},
    "lbfgs": {"pairs": 8},
    "kfac": {"refresh_every": 1},
}


def options(part: str) -> list[str]:
    """Options of a config group."""
    return groups()[part]


def every_option() -> list[tuple[str, str]]:
    """Options of all parts, each beside its part."""
    return [(part, option) for part in PARTS for option in options(part)]


@cache
def _config(part: str, option: str) -> Any:
    return load_config(["+recipe=prompts", f"{part}={option}"])[part]


def make(part: str, option: str, **changes: Any) -> Any:
    """What an option describes, with settings for a small problem."""
    return instantiate(_config(part, option), **(SMALL.get(option, {}) | changes))


def classes(part: str) -> list[type]:
    """The classes of the options of a part."""
    return [get_class(_config(part, option)._target_) for option in options(part)]
