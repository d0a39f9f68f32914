"""Reads the files of a run folder, whether the run has finished or not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.events import FILE_NAME, read_events
from asr_hf.runtime.files import read_json
from asr_hf.runtime.run_config import read_plain_yaml

Event = dict[str, Any]

OPTIMISERS = {
    "hf": "Hessian-free",
    "sgd": "SGD",
    "adamw": "AdamW",
    "nadamw": "NAdamW",
    "muon": "Muon",
    "lbfgs": "L-BFGS",
}


@dataclass
class RunData:
    """The events, the configuration and the results of a run.

    Args:
        path: the run folder.
        events: event of each outer iteration or epoch; none before the first.
        config: resolved configuration; empty if the folder has none.
        result: content of result.json; empty while the run is unfinished.
        worst: worst utterances in score.json; none before scoring.
    """

    path: Path
    events: list[Event] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    worst: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> RunData:
        """Read a run folder.

        Args:
            path: the run folder.

        Returns:
            The data of the run.

        Raises:
            InputError: there is no run in the folder, or one of its files is damaged.
        """
        events, result = path / FILE_NAME, path / "result.json"
        if not events.exists() and not result.exists():
            raise InputError(
                f"{path}: no run here",
                expected=f"a folder with {FILE_NAME}, as asr-hf train makes it",
                remedy="name the folder of a run, such as exp/demo",
            )
        score = path / "score.json"
        return cls(
            path=path,
            events=read_events(events) if events.exists() else [],
            config=_read_config(path / "config.yaml"),
            result=_read_result(result) if result.exists() else {},
            worst=read_json(score)["worst"] if score.exists() else [],
        )

    @property
    def name(self) -> str:
        """The name of the run."""
        return str(self.result.get("name") or self.config.get("name") or self.path.name)

    @property
    def optimiser(self) -> str:
        """The optimiser, a key of `OPTIMISERS`; empty before the first iteration."""
        named = [event["optimiser"] for event in self.events if event.get("optimiser")]
        return str(self.result.get("optimiser") or (named[-1] if named else ""))

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        return "heldout_loss" in self.result

    @property
    def steps(self) -> list[Event]:
        """The events of iterations, without the one before training."""
        return [event for event in self.events if event["iteration"] > 0]

    @property
    def best(self) -> Event | None:
        """The event with the lowest held-out loss; None where no event has one."""
        known = [event for event in self.events if number(event, "heldout_loss") is not None]
        return min(known, key=lambda event: float(event["heldout_loss"]), default=None)

    def figure(self, key: str) -> float | None:
        """Return a number for the whole run, from result.json or else from the events so far."""
        if number(self.result, key) is not None:
            return number(self.result, key)
        if not self.events:
            return None
        cumulative = key in ("seconds", "work", "iterations")
        if cumulative:
            return number(self.events[-1], "iteration" if key == "iterations" else key)
        return number(self.best or {}, key)


def number(event: Event, key: str) -> float | None:
    """Return a number of an event; None where it is missing, null or not finite."""
    value = event.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _read_result(path: Path) -> dict[str, Any]:
    result = read_json(path)
    if not isinstance(result, dict):
        raise InputError(
            f"{path}: not the result of a run",
            expected="names with their values, as asr-hf train writes them",
            remedy="remove it, and give the command of the training again",
        )
    return result


def _read_config(path: Path) -> dict[str, Any]:
    return read_plain_yaml(path) if path.exists() else {}
