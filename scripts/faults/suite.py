"""Runs faults one after another and counts their outcomes."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scripts.faults.calls import every_call
from scripts.faults.case import RUN, Case, Impossible, Lost, Reference, timeless
from scripts.faults.child import Child
from scripts.faults.corpus import ITERATIONS, TRAIN, pack, timed, write_corpus
from scripts.faults.data_kinds import DATA_KINDS
from scripts.faults.kinds import KINDS

_COLUMNS = ("fault", "injected", "went on", "refused first", "impossible here", "lost", "seconds")


@dataclass(frozen=True)
class Report:
    """The outcome of one fault.

    Args:
        number: number of the fault.
        kind: kind of the fault.
        story: notes on what was done and seen.
        refused: whether a command ended with a clear error.
        impossible: why the fault could not be injected; empty where it was.
        lost: promise that was broken; empty where none was.
        seconds: duration (seconds).
    """

    number: int
    kind: str
    story: list[str]
    refused: bool
    impossible: str
    lost: str
    seconds: float

    @property
    def title(self) -> str:
        """The report in one line."""
        return f"fault {self.number}, {self.kind}: {self.lost or self.impossible or 'nothing lost'}"


def undisturbed(folder: Path) -> Reference:
    """Make the corpus in `folder`, and train on it undisturbed.

    Returns:
        The training.

    Raises:
        RuntimeError: a command fails.
    """
    data, exp = folder / "corpus", folder / "exp"
    write_corpus(data)
    pack(data, folder / "pack.log")
    arguments = ["train", *TRAIN, f"paths.data={data}", f"paths.exp={exp}"]
    reader, writer = os.pipe()

    def tell(_: str) -> None:
        os.write(writer, b"x")

    timed(
        Child([*arguments, "name=counted"], folder / "counted.log", lambda: every_call(exp, tell))
    )
    os.close(writer)
    calls = len(os.read(reader, 1 << 16))
    os.close(reader)
    seconds = timed(Child([*arguments, f"name={RUN}"], folder / "reference.log"))
    run = exp / RUN
    events = timeless(run)
    if [event["iteration"] for event in events] != list(range(ITERATIONS + 1)):
        raise RuntimeError(f"{run}: not {ITERATIONS} iterations")
    largest = max(path.stat().st_size for path in run.rglob("*") if path.is_file())
    model = (run / "model.safetensors").read_bytes()
    return Reference(data, model, events, seconds, calls, largest)


def inject(folder: Path, number: int, seed: int, reference: Reference) -> Report:
    """Inject fault `number` of a seed; the kinds come in turn."""
    kinds = [*KINDS, *DATA_KINDS]
    kind = kinds[number % len(kinds)]
    start = time.monotonic()
    lost = impossible = ""
    case = Case(folder, reference, random.Random(f"{seed} {number}"))
    try:
        kind(case)
    except Lost as error:
        lost = str(error)
    except Impossible as error:
        impossible = str(error)
    name = kind.__name__.replace("_", " ")
    seconds = time.monotonic() - start
    return Report(number, name, case.story, case.refused > 0, impossible, lost, seconds)


def rows(reports: Iterable[Report]) -> list[dict[str, str | int]]:
    """Count injections and outcomes of each kind of fault; the last row is for all."""
    counted = []
    reports = list(reports)
    for name in [*dict.fromkeys(r.kind for r in reports), "all"]:
        selected = [r for r in reports if name in (r.kind, "all")]
        done = [r for r in selected if not r.impossible]
        figures: tuple[str | int, ...] = (
            name,
            len(done),
            sum(not r.refused and not r.lost for r in done),
            sum(r.refused and not r.lost for r in done),
            len(selected) - len(done),
            sum(bool(r.lost) for r in done),
            round(sum(r.seconds for r in selected)),
        )
        counted.append(dict(zip(_COLUMNS, figures, strict=True)))
    return counted


def table(reports: Iterable[Report]) -> str:
    """Write the rows as a table in Markdown."""
    each = [list(row.values()) for row in rows(reports)]
    lines = [" | ".join(map(str, row)) for row in (_COLUMNS, ["---"] * len(_COLUMNS), *each)]
    return "\n".join(f"| {line} |" for line in lines)
