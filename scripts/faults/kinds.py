"""The faults: each disturbs a training, and checks the result."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from asr_hf.runtime.checkpoint import checkpoints
from scripts.faults import damage
from scripts.faults.calls import at_call, die, disk_full, pause
from scripts.faults.case import Case, Impossible, Lost
from scripts.faults.child import Child, Outcome
from scripts.faults.corpus import ITERATIONS
from scripts.faults.limits import limit_files, obey_modes

_INTERRUPTED = 130
_TRY_AGAIN = 75


def kill_at_any_moment(case: Case) -> None:
    """Send SIGKILL after a random time, up to three times."""
    for _ in range(case.random.randint(1, 3)):
        child = case.start()
        time.sleep(case.random.uniform(0, 1.05 * case.reference.seconds))
        child.kill()
        case.tell(f"killed: {child.wait().code}")
    case.finish()


def kill_at_a_call(case: Case) -> None:
    """Send SIGKILL at a random one of the calls that change files."""
    number = case.random.randint(1, case.reference.calls)
    outcome = case.command(lambda: at_call(number, case.exp, die))
    case.tell(f"killed at call {number}")
    if outcome.code not in (0, -signal.SIGKILL):
        raise Lost(f"exit code {outcome.code}")
    case.finish()


def kill_inside_a_file(case: Case) -> None:
    """Die in the middle of writing, where a file reaches a random size."""
    size = case.random.randint(1, case.reference.largest)
    outcome = case.command(lambda: limit_files(size, signal.SIG_DFL))
    case.tell(f"killed where a file reached {size} bytes")
    if outcome.code not in (0, -signal.SIGXFSZ):
        raise Lost(f"exit code {outcome.code}")
    case.finish()


def kill_a_rank(case: Case) -> None:
    """Send SIGKILL to one of two processes that share the training, after a random iteration."""
    case.share(2)
    iteration, events = case.random.randint(0, ITERATIONS), case.run / "events.jsonl"
    rank = case.random.randrange(case.processes)
    child = case.start()
    while not child.ended():
        if events.exists() and events.read_bytes().count(b"\n") > iteration:
            for pid in child.children()[rank : rank + 1]:
                os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.001)
    outcome = child.wait()
    case.tell(f"rank {rank} killed after iteration {iteration}: {outcome.code}")
    if outcome.code != 0 and (outcome.code != 1 or "killed by SIGKILL" not in outcome.said):
        raise Lost(f"exit code {outcome.code}, unclear: {outcome.said.strip()[-1500:]}")
    case.finish()


def interrupt(case: Case) -> None:
    """Press Ctrl-C after a random time."""
    child = case.start()
    time.sleep(case.random.uniform(0, case.reference.seconds))
    child.kill(signal.SIGINT)
    outcome = child.wait()
    case.tell(f"interrupted: {outcome.code}")
    if outcome.code not in (0, _INTERRUPTED):
        raise Lost(f"exit code {outcome.code}: {outcome.said.strip()[-1000:]}")
    case.finish()


def full_disk_by_size(case: Case) -> None:
    """Keep files from growing beyond a random size."""
    size = case.random.randint(0, case.reference.largest)
    case.tell(f"files of at most {size} bytes")
    case.survive(case.command(lambda: limit_files(size, signal.SIG_IGN)))
    case.finish()


def full_disk_at_a_call(case: Case) -> None:
    """Raise ENOSPC at a random one of the calls that change files."""
    number = case.random.randint(1, case.reference.calls)
    case.tell(f"no space at call {number}")
    case.survive(case.command(lambda: at_call(number, case.exp, disk_full)))
    case.finish()


def full_file_system(case: Case) -> None:
    """Run on a file system of its own that is full after some of the run has been written."""
    pages = case.random.randint(1, 40)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={4 * pages}k", "tmpfs", str(case.exp)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        raise Impossible("mounting is not allowed")
    case.tell(f"a file system of {4 * pages} kB")
    try:
        case.survive(case.command())
        grow = ["mount", "-o", "remount,size=64m", str(case.exp)]
        subprocess.run(grow, capture_output=True, check=True)
        case.finish()
    finally:
        subprocess.run(["umount", str(case.exp)], capture_output=True, check=True)


def read_only_folder(case: Case) -> None:
    """Make a folder of the run read-only, before or in the middle of it."""
    if case.random.random() < 0.7:
        _cut_short(case)
    folder = case.random.choice([p for p in (case.exp, *case.exp.rglob("*")) if p.is_dir()])
    case.tell(f"{folder.relative_to(case.folder)} read-only")
    folder.chmod(0o555)
    case.survive(case.command(obey_modes))
    folder.chmod(0o755)
    case.finish()


def damaged_checkpoint(case: Case) -> None:
    """Shorten the newest checkpoint or flip a bit in it; the one before must serve."""
    _cut_short(case)
    newest = checkpoints(case.run / "checkpoints")[-1:]
    for path in newest:
        case.tell(case.random.choice([damage.truncate, damage.flip])(path, case.random))
    if len(checkpoints(case.run / "checkpoints")) == 1:
        _all_damaged(case)
        return
    case.finish(damaged=newest)


def damaged_checkpoints(case: Case) -> None:
    """Damage every checkpoint; the run must not start over silently."""
    _cut_short(case)
    kept = damage.Keepsake(case.run)
    paths = checkpoints(case.run / "checkpoints")
    for path in paths:
        case.tell(case.random.choice([damage.truncate, damage.flip])(path, case.random))
    if paths:
        _all_damaged(case)
        kept.put_back()
    case.finish()


def _all_damaged(case: Case) -> None:
    outcome = case.command()
    case.check_refused(outcome)
    if "every checkpoint is damaged" not in outcome.said:
        raise Lost(f"it does not say that checkpoints are damaged: {outcome.said[-500:]}")


def damaged_store(case: Case) -> None:
    """Shorten a file of a frame store or flip a bit in it, before or within the run."""
    _harm(case, case.data / "tiny" / "store", [damage.truncate, damage.flip])


def damaged_store_in_use(case: Case) -> None:
    """Shorten a file of a frame store or flip a bit in it while it is being read."""
    _harm_in_use(case, [damage.truncate, damage.flip])


def lost_file(case: Case) -> None:
    """Remove a file of a frame store, before or within the run."""
    _harm(case, case.data / "tiny" / "store", [damage.remove])


def lost_file_in_use(case: Case) -> None:
    """Remove a file of a frame store while it is being read."""
    _harm_in_use(case, [damage.remove])


def damaged_archive(case: Case) -> None:
    """Damage a feature archive, its index or the alignments when the stores are packed."""
    shutil.rmtree(case.data / "tiny" / "store")
    folder = case.data / "tiny" / "fbank" / case.random.choice(["train", "dev"])
    kept = damage.Keepsake(folder)
    path = folder / case.random.choice(["feats.ark", "feats.ark", "feats.scp", "feats.crc"])
    case.tell(case.random.choice([damage.truncate, damage.flip])(path, case.random))
    outcome = case.command(verb="align")
    case.survive(outcome)
    kept.put_back()
    if outcome.code:
        if (case.data / "tiny" / "store" / folder.name).exists():
            raise Lost("a store was made of damaged features")
        again = case.command(verb="align")
        if again.code:
            raise Lost(f"packing fails: {again.said[-1000:]}")
    case.finish()


def clock_jumps(case: Case) -> None:
    """Let the clock jump by years, back and forth."""
    jumps = [case.random.uniform(-3e8, 3e8) for _ in range(50)]

    def jump() -> None:
        real, count = time.time, iter(range(10**9))
        time.time = lambda: real() + jumps[next(count) // 3 % len(jumps)]

    number = case.random.randint(1, case.reference.calls)

    def jump_and_die() -> None:
        jump()
        at_call(number, case.exp, die)

    case.command(jump_and_die)
    outcome = case.command(jump)
    if outcome.code != 0:
        raise Lost(f"exit code {outcome.code}: {outcome.said[-1000:]}")
    case.check_same()


def signal_at_any_moment(case: Case) -> None:
    """Send SIGTERM or SIGUSR1, perhaps twice, at a random moment of training or of packing."""
    verb = case.random.choice(["train", "align"])
    if verb == "align":
        shutil.rmtree(case.data / "tiny" / "store")
    number = case.random.choice([signal.SIGTERM, signal.SIGUSR1])
    child = case.start(verb=verb)
    child.wait_until_it_takes_signals()
    time.sleep(case.random.uniform(0, case.reference.seconds))
    for _ in range(case.random.randint(1, 2)):
        if not child.ended():
            child.kill(number)
        time.sleep(case.random.uniform(0, 0.05))
    outcome = child.wait()
    case.tell(f"{verb} was sent {number.name}: {outcome.code}")
    if outcome.code != 0:
        _check_stopped(outcome)
    if verb == "align":
        again = case.command(verb="align")
        if again.code:
            raise Lost(f"packing fails: {again.said[-1000:]}")
        _check_no_rubbish(case)
    case.finish()


def _check_stopped(outcome: Outcome) -> None:
    message = re.search(r"^asr-hf: error: stopped by SIG\w+", outcome.said, flags=re.MULTILINE)
    clear = message and "Traceback" not in outcome.said and "ignored" not in outcome.said
    if outcome.code != _TRY_AGAIN or not clear:
        raise Lost(f"exit code {outcome.code}, unclear: {outcome.said.strip()[-1500:]}")


def _check_no_rubbish(case: Case) -> None:
    stray = [p.name for p in case.data.rglob(".*") if p.name != ".lock"]
    if stray:
        raise Lost(f"rubbish is left: {stray}")


def orphans(case: Case) -> None:
    """Kill or end the process that has started ranks; none of them may be left."""
    case.share(2)
    number = case.random.choice([signal.SIGKILL, signal.SIGTERM])
    mark = {"ASR_HF_FAULT": str(case.folder)}
    child = case.start(lambda: os.environ.update(mark))
    child.wait_until_it_takes_signals()
    until = time.monotonic() + case.random.uniform(0, 10)
    while not child.ended() and time.monotonic() < until:
        time.sleep(0.01)
    begun = len(_marked(mark))
    if not child.ended():
        child.kill(number)
    outcome = child.wait()
    case.tell(f"{begun} ranks, {number.name}: {outcome.code}")
    if outcome.code not in (0, -signal.SIGKILL):
        _check_stopped(outcome)
    until = time.monotonic() + 10
    while (left := _marked(mark)) and time.monotonic() < until:
        time.sleep(0.05)
    if left:
        raise Lost(f"processes are left: {left}")
    case.finish()


def _marked(mark: dict[str, str]) -> list[int]:
    """List the running processes that have a mark in their environment."""
    pids, expected = [], "".join(f"{name}={value}\0" for name, value in mark.items()).encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            dead = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            if not dead and expected in (folder / "environ").read_bytes():
                pids.append(int(folder.name))
        except OSError:
            continue
    return pids


def two_writers(case: Case) -> None:
    """Start the same packing a second time while the first one works; it must be refused.

    The file of the lock may be removed meanwhile.
    """
    shutil.rmtree(case.data / "tiny" / "store")
    number = case.random.randint(6, 60)
    first = case.start(lambda: at_call(number, case.data, pause), verb="align")
    held = first.stopped()
    if held and case.random.random() < 0.5:
        case.tell("the file of the lock is removed")
        (case.data / "tiny" / "align" / ".lock").unlink()
    _second_is_refused(case, first, held, verb="align")
    _check_no_rubbish(case)
    case.finish()


def hole_in_events(case: Case) -> None:
    """Remove or double a line of events.jsonl, or zero it, before the run continues."""
    _cut_short(case)
    kept, path = damage.Keepsake(case.run), case.run / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    begun = bool(checkpoints(case.run / "checkpoints"))
    if lines:
        number = case.random.randrange(len(lines))
        ways = {"gone": b"", "doubled": 2 * lines[number], "NUL bytes": bytes(len(lines[number]))}
        way = case.random.choice(sorted(ways))
        case.tell(f"line {number + 1} of {len(lines)} is {way}")
        path.write_bytes(b"".join([*lines[:number], ways[way], *lines[number + 1 :]]))
    outcome = case.command()
    case.survive(outcome)
    if outcome.code:
        if not begun:
            raise Lost("a run that begins anew is refused")
        kept.put_back()
    case.finish()


def two_runs(case: Case) -> None:
    """Start the same command a second time while the first one runs; it must be refused."""
    # The first calls make the folder and its lock.
    number = case.random.randint(4, case.reference.calls - 2)
    first = case.start(lambda: at_call(number, case.exp, pause))
    held = first.stopped()
    _second_is_refused(case, first, held)
    case.check_same()


def _second_is_refused(case: Case, first: Child, held: bool, verb: str = "train") -> None:
    """Run a second command while a first one is stopped in the middle; the first must end well.

    Args:
        case: case of the fault.
        first: first command.
        held: whether the first command is stopped; otherwise it has ended.
        verb: verb of both commands.

    Raises:
        Lost: the second command was not refused.
    """
    second = case.command(verb=verb)
    if held:
        case.check_refused(second)
        if "in use by" not in second.said:
            raise Lost(f"the second one says: {second.said[-500:]}")
        first.kill(signal.SIGCONT)
    outcome = first.wait()
    if outcome.code:
        raise Lost(f"the first one ended with {outcome.code}: {outcome.said[-1000:]}")


def _cut_short(case: Case) -> None:
    """Run until a random call, and no further."""
    number = case.random.randint(case.reference.calls // 4, case.reference.calls)
    case.command(lambda: at_call(number, case.exp, die))


def _harm(case: Case, folder: Path, ways: list[Callable[..., str]]) -> None:
    if case.random.random() < 0.5:
        _cut_short(case)
    kept = damage.Keepsake(folder)
    case.tell(case.random.choice(ways)(kept.pick(case.random), case.random))
    case.survive(case.command())
    kept.put_back()
    case.finish()


def _harm_in_use(case: Case, ways: list[Callable[..., str]]) -> None:
    kept = damage.Keepsake(case.data / "tiny" / "store")
    path, way = kept.pick(case.random), case.random.choice(ways)
    number = case.random.randint(1, case.reference.calls)
    case.tell(f"at call {number} {way.__name__} {path.name}")

    def harm(_: str) -> None:
        way(path, case.random)

    case.survive(case.command(lambda: at_call(number, case.exp, harm)))
    kept.put_back()
    case.finish()


KINDS: list[Callable[[Case], None]] = [
    kill_at_any_moment,
    kill_at_a_call,
    kill_inside_a_file,
    kill_a_rank,
    interrupt,
    full_disk_by_size,
    full_disk_at_a_call,
    full_file_system,
    read_only_folder,
    damaged_checkpoint,
    damaged_checkpoints,
    damaged_store,
    damaged_store_in_use,
    damaged_archive,
    lost_file,
    lost_file_in_use,
    clock_jumps,
    two_runs,
    signal_at_any_moment,
    orphans,
    two_writers,
    hole_in_events,
]
