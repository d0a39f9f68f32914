"""A training with a fault, and the checks of its result."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asr_hf.runtime.checkpoint import checkpoints
from asr_hf.runtime.events import read_events
from scripts.faults.child import Child, Outcome
from scripts.faults.corpus import ALIGN, ITERATIONS, TRAIN

Prepare = Callable[[], None]
RUN = "run"


class Lost(Exception):
    """A promise was broken: a result, an iteration or a file is lost, or an error is unclear."""


class Impossible(Exception):
    """The fault cannot be injected on this machine."""


@dataclass(frozen=True)
class Reference:
    """The undisturbed training.

    Args:
        corpus: folder of its data, which cases copy.
        model: bytes of model.safetensors.
        events: events without times.
        seconds: duration (seconds).
        calls: number of calls that change files.
        largest: size of its largest file (bytes).
    """

    corpus: Path
    model: bytes
    events: list[dict[str, Any]]
    seconds: float
    calls: int
    largest: int


@dataclass
class Case:
    """A copy of the corpus and a run folder for one fault.

    Args:
        folder: folder of the copy.
        reference: undisturbed training.
        random: generator of where and when the fault happens.
        story: notes for the report.
        refused: number of commands that ended with a clear error.
        processes: number of processes of each training.
        more: further overrides of each training.
    """

    folder: Path
    reference: Reference
    random: random.Random
    story: list[str] = field(default_factory=list)
    refused: int = 0
    processes: int = 1
    more: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        shutil.copytree(self.reference.corpus, self.data, dirs_exist_ok=True)
        for scp in self.data.rglob("*.scp"):
            text = scp.read_text(encoding="utf-8")
            scp.write_text(text.replace(str(self.reference.corpus), str(self.data)))
        self.exp.mkdir()

    @property
    def data(self) -> Path:
        """The folder for paths.data."""
        return self.folder / "data"

    @property
    def exp(self) -> Path:
        """The folder for paths.exp."""
        return self.folder / "exp"

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.exp / RUN

    def tell(self, what: str) -> None:
        """Note something for the report."""
        self.story.append(what)

    def start(
        self, prepare: Prepare | None = None, verb: str = "train", data: Path | None = None
    ) -> Child:
        """Start the command of a verb in the background, on other data where `data` names them."""
        data = data or self.data
        overrides = [*TRAIN, *self.more] if verb == "train" else ALIGN
        arguments = [verb, *overrides, f"name={RUN}", f"paths.data={data}", f"paths.exp={self.exp}"]
        arguments.append(f"runtime.processes={self.processes}")
        if verb == "align":
            arguments.append(f"alignment.from_ark={data}/ali.ark")
        number = len(list(self.folder.glob("*.log")))
        return Child(arguments, self.folder / f"{number:02d}-{verb}.log", prepare)

    def command(
        self, prepare: Prepare | None = None, verb: str = "train", data: Path | None = None
    ) -> Outcome:
        """Run a command to its end."""
        outcome = self.start(prepare, verb, data).wait()
        self.tell(f"{verb} ended with {outcome.code}")
        return outcome

    def share(self, processes: int) -> None:
        """Train in several processes from now on; their sums differ in the last bits.

        Raises:
            Lost: the undisturbed training in them fails.
        """
        self.processes = processes
        self.anew()

    def anew(self) -> None:
        """Train undisturbed with the case's present settings, as its new reference.

        Raises:
            Lost: the training fails.
        """
        outcome = self.command()
        if outcome.code != 0:
            raise Lost(f"undisturbed it fails: {outcome.said.strip()[-1500:]}")
        model = (self.run / "model.safetensors").read_bytes()
        self.reference = replace(self.reference, model=model, events=timeless(self.run))
        shutil.rmtree(self.run)

    def check_refused(self, outcome: Outcome) -> None:
        """Check that a command that failed reported clearly why.

        Raises:
            Lost: it did not.
        """
        error = re.search(r"^asr-hf: error: (.*)", outcome.said, flags=re.MULTILINE)
        clear = error and "Traceback" not in outcome.said and "--debug shows" not in outcome.said
        if outcome.code not in (1, 2) or not clear or error is None:
            raise Lost(f"exit code {outcome.code}, unclear: {outcome.said.strip()[-1500:]}")
        if str(self.folder) not in error[1]:
            raise Lost(f"the error names no file: {error[1]}")
        self.tell(f"said: {error[1].replace(str(self.folder), '.')[:200]}")
        self.refused += 1

    def survive(self, outcome: Outcome) -> None:
        """Check that a command with the fault ended well, or with a clear error.

        Raises:
            Lost: it did neither.
        """
        if outcome.code != 0:
            self.check_refused(outcome)

    def finish(self, damaged: Collection[Path] = ()) -> None:
        """Run the same command undisturbed, from the newest checkpoint on; it must end the same.

        Args:
            damaged: checkpoints from which the command cannot continue.

        Raises:
            Lost: it does not.
        """
        kept = [p for p in checkpoints(self.run / "checkpoints") if p not in damaged]
        newest = int(kept[-1].stem[-6:]) if kept else None
        outcome = self.command()
        if outcome.code != 0:
            raise Lost(f"the same command fails: {outcome.code}: {outcome.said.strip()[-1500:]}")
        continued = re.findall(r"continuing after iteration (\d+)", outcome.said)
        if (int(continued[0]) if continued else None) != newest:
            raise Lost(
                f"it went on after iteration {continued}, the newest checkpoint was {newest}"
            )
        self.check_same()

    def check_same(self) -> None:
        """Check that the run ended as the undisturbed one did.

        Raises:
            Lost: it did not.
        """
        if (self.run / "model.safetensors").read_bytes() != self.reference.model:
            raise Lost("the model is another one")
        events = timeless(self.run)
        if events != self.reference.events:
            steps = [event["iteration"] for event in events]
            raise Lost(f"the events are others: iterations {steps}")
        result = json.loads((self.run / "result.json").read_text(encoding="utf-8"))
        if result["iterations"] != ITERATIONS:
            raise Lost(f"the result says {result['iterations']} iterations")
        stray = [p.name for p in self.run.rglob(".*") if p.name != ".lock"]
        if stray:
            raise Lost(f"rubbish is left: {stray}")


def timeless(run: Path) -> list[dict[str, Any]]:
    """Read the events of a run, without fields that depend on clock and machine."""
    return [
        {key: value for key, value in event.items() if "seconds" not in key}
        for event in read_events(run / "events.jsonl")
    ]
