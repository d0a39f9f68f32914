"""Faults of data that change before a run continues, or differ on another rank."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from scripts.faults import damage
from scripts.faults.calls import at_call, die
from scripts.faults.case import RUN, Case, Lost
from scripts.faults.child import Child
from scripts.faults.corpus import (
    NAME,
    PDFS,
    TRAIN,
    write_alignments,
    write_features,
    write_sausages,
)

_OTHER_DATA = "the run here began with other data"


def other_labels(case: Case) -> None:
    """Pack stores with shifted labels between two parts of a run."""
    _begin(case)
    kept = damage.Keepsake(case.data)
    shift = case.random.randint(1, PDFS - 1)
    write_alignments(case.data, shift)
    case.tell(f"labels shifted by {shift}")
    _packed(case)
    _refused(case, _OTHER_DATA)
    kept.put_back()
    case.finish()


def other_store(case: Case) -> None:
    """Swap training and held-out store between two parts of a run."""
    _begin(case)
    kept = damage.Keepsake(case.data)
    stores = case.data / NAME / "store"
    for old, new in (("train", "aside"), ("dev", "train"), ("aside", "dev")):
        (stores / old).rename(stores / new)
    case.tell("store/dev and store/train exchanged")
    _refused(case, _OTHER_DATA)
    kept.put_back()
    case.finish()


def other_features(case: Case) -> None:
    """Make the features of a set anew, but not its store."""
    kept = damage.Keepsake(case.data)
    name = case.random.choice(["train", "dev"])
    write_features(case.data, name, seed=case.random.randint(10, 99))
    case.tell(f"other features of {name}")
    _refused(case, "made from what has changed since")
    _packed(case)
    if case.command().code:
        raise Lost("what was packed again is refused")
    shutil.rmtree(case.run)
    kept.put_back()
    case.finish()


def other_lattices(case: Case) -> None:
    """Make lattices anew between two parts of a run of sequence training."""
    _from_first(case)
    case.more += ["criterion=mmi", "criterion.acoustic_scale=0.1"]
    write_sausages(case.data, seed=0)
    case.anew()
    _begin(case)
    kept = damage.Keepsake(case.data)
    write_sausages(case.data, seed=case.random.randint(1, 99))
    case.tell("other lattices")
    _refused(case, _OTHER_DATA)
    kept.put_back()
    case.finish()


def other_starting_model(case: Case) -> None:
    """Train the run that training starts from further, between two parts of the training."""
    first = _from_first(case)
    case.anew()
    _begin(case)
    kept = damage.Keepsake(case.exp / "first")
    _train(case, [*first, "trainer.stopping.max_iterations=9"])
    case.tell("the starting model trained on")
    _refused(case, _OTHER_DATA)
    kept.put_back()
    case.finish()


def damaged_artefact_and_its_command(case: Case) -> None:
    """Damage a file of a store; the command that the message names mends it."""
    # The copy's alignments are in another folder, so `align` takes them for others.
    _packed(case)
    stores = case.data / NAME / "store"
    kept = damage.Keepsake(stores)
    way: Callable[..., str] = case.random.choice([damage.truncate, damage.flip, damage.remove])
    case.tell(way(kept.pick(case.random), case.random))
    outcome = case.command()
    case.survive(outcome)
    if outcome.code and "asr-hf align" not in outcome.said:
        raise Lost(f"the message names no command: {outcome.said[-500:]}")
    _packed(case)
    if not kept.is_back():
        raise Lost("asr-hf align left the damage as it was")
    shutil.rmtree(case.run, ignore_errors=True)
    case.finish()


def rank_with_other_data(case: Case) -> None:
    """Give one of two ranks other labels, or another setting; both must end and report that."""
    other = case.folder / "other"
    shutil.copytree(case.data, other)
    for scp in other.rglob("*.scp"):
        text = scp.read_text(encoding="utf-8")
        scp.write_text(text.replace(str(case.data), str(other)), encoding="utf-8")
    setting = ["damping.value=0.5"] if case.random.random() < 0.5 else []
    if not setting:
        write_alignments(other, shift=1)
        _packed(case, other)
    case.tell(f"rank 1 has {setting or 'shifted labels'}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ranks = [
        _rank(case, 0, port, case.data, []),
        _rank(case, 1, port, other, setting),
    ]
    for outcome in [rank.wait() for rank in ranks]:
        if outcome.code != 2:
            raise Lost(f"a rank ended with {outcome.code}: {outcome.said.strip()[-1500:]}")
    said = "".join((case.folder / f"rank-{n}.log").read_text(encoding="utf-8") for n in (0, 1))
    if "would train on something else" not in said:
        raise Lost(f"no rank says what differs: {said[-1500:]}")
    case.refused += 1
    shutil.rmtree(case.run, ignore_errors=True)
    case.finish()


def _rank(case: Case, number: int, port: int, data: Path, more: list[str]) -> Child:
    def become() -> None:
        os.environ.update(
            RANK=str(number),
            WORLD_SIZE="2",
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(port),
        )

    arguments = ["train", *TRAIN, *more, f"name={RUN}", f"paths.data={data}"]
    return Child([*arguments, f"paths.exp={case.exp}"], case.folder / f"rank-{number}.log", become)


def _begin(case: Case) -> None:
    """Run until a random call after the first event."""
    while True:
        number = case.random.randint(case.reference.calls // 2, case.reference.calls - 1)
        case.command(lambda number=number: at_call(number, case.exp, die))  # type: ignore[misc]
        if (case.run / "events.jsonl").is_file():
            return


def _from_first(case: Case) -> list[str]:
    """Train a run for the case's run to start from, and return the overrides for that."""
    first = [*TRAIN, "name=first", f"paths.data={case.data}", f"paths.exp={case.exp}"]
    _train(case, first)
    case.more.append(f"init_from={case.exp / 'first'}")
    return first


def _train(case: Case, overrides: list[str]) -> None:
    outcome = Child(["train", *overrides], case.folder / "first.log").wait()
    if outcome.code:
        raise Lost(f"the first run fails: {outcome.said[-1000:]}")


def _packed(case: Case, data: Path | None = None) -> None:
    outcome = case.command(verb="align", data=data)
    if outcome.code:
        raise Lost(f"packing fails: {outcome.said[-1000:]}")


def _refused(case: Case, message: str) -> None:
    outcome = case.command()
    case.check_refused(outcome)
    if message not in outcome.said:
        raise Lost(f"it does not say «{message}»: {outcome.said[-1000:]}")


DATA_KINDS: list[Callable[[Case], None]] = [
    other_labels,
    other_store,
    other_features,
    other_lattices,
    other_starting_model,
    damaged_artefact_and_its_command,
    rank_with_other_data,
]
