"""Parses mutated files in a process that may crash, hang or run out of memory."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asr_hf.runtime.errors import AsrHfError
from scripts.fuzz.mutate import Move, draw_moves, mutated
from scripts.fuzz.parsers import Parser

# The samples are a few kilobytes, and so is what may be taken for them.
MEMORY = 256 << 20
CPU_SECONDS = 5.0
WALL_SECONDS = 120.0


class Bug(Exception):
    """A parser neither returned a value nor raised an error that names the file."""


@dataclass(frozen=True)
class Finding:
    """A bug.

    Args:
        number: number of the case.
        what: exception with its traceback, or the signal that ended the process.
    """

    number: int
    what: str


def sample(parser: Parser, folder: Path) -> dict[str, bytes]:
    """Make the parser's valid files in `folder`, and return the content of those to be mutated."""
    folder.mkdir(parents=True, exist_ok=True)
    parser.make(folder)
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if any(path.match(pattern) for pattern in parser.files)
    }


def write_case(
    parser: Parser, folder: Path, valid: dict[str, bytes], name: str, moves: list[Move]
) -> bytes:
    """Write the valid files to `folder`, with `name` mutated, and return its content."""
    for file, content in valid.items():
        (folder / file).write_bytes(content)
    content = mutated(valid[name], moves, parser.tokens)
    (folder / name).write_bytes(parser.seal(content))
    return parser.seal(content)


def drawn(valid: dict[str, bytes], seed: str, number: int) -> tuple[str, list[Move]]:
    """Draw the file that case `number` changes, and the changes."""
    draw = random.Random(f"{seed} {number}")
    return draw.choice(sorted(valid)), draw_moves(draw)


def check(parser: Parser, folder: Path) -> bool:
    """Parse the files in `folder`.

    Returns:
        Whether the parser accepted them.

    Raises:
        Bug: the parser raised another error than one that names a file there.
    """
    try:
        parser.parse(folder)
    except AsrHfError as error:
        if isinstance(error.__cause__, MemoryError):
            raise Bug(f"memory blown up: {traceback.format_exc()}") from error
        if parser.names_files and str(folder) not in str(error):
            raise Bug(f"names no file: {error}") from error
        return False
    except Exception as error:
        raise Bug(traceback.format_exc()) from error
    return True


def limited(memory: int) -> None:
    """Let this process take `memory` bytes more than it has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def hunt(
    parser: Parser, folder: Path, seed: str, seconds: float, report: Callable[[Finding], None]
) -> tuple[int, int]:
    """Parse mutated files for some seconds; return their number and that of accepted ones."""
    end, number, valid = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        last, taken, finding = _in_a_process(parser, folder, seed, number, end)
        valid += taken
        number = last + 1
        if finding is not None:
            report(finding)
    return number, valid


def _in_a_process(
    parser: Parser, folder: Path, seed: str, first: int, end: float
) -> tuple[int, int, Finding | None]:
    """Parse from case `first` to a bug; return the last case, the number accepted, and the bug."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        _work(parser, folder, seed, first, end, writer)
    os.close(writer)
    with open(reader, "rb") as lines:
        said = lines.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    head, _, what = said.partition("!")
    last, taken = first + head.count(".") + head.count("+") - 1, head.count("+")
    if status:
        what = f"the process ended with {_named(status)}"
    if what:
        return last + 1, taken, Finding(last + 1, what)
    return last, taken, None


def _named(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit code {status}"


def _work(parser: Parser, folder: Path, seed: str, first: int, end: float, writer: int) -> None:
    """Write a sign for each case: + for accepted, . for refused; ! and a text for a bug."""
    code = 70
    try:
        valid = sample(parser, folder)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        limited(MEMORY)
        number = first
        while time.monotonic() < end:
            write_case(parser, folder, valid, *drawn(valid, seed, number))
            _limit_time(CPU_SECONDS, WALL_SECONDS)
            taken = check(parser, folder)
            _limit_time(0, 0)
            os.write(writer, b"+" if taken else b".")
            number += 1
        code = 0
    except Bug as error:
        os.write(writer, f"!{error}".encode())
        code = 0
    except BaseException:
        os.write(writer, f"!{traceback.format_exc()}".encode())
        code = 0
    finally:
        os._exit(code)


def _limit_time(cpu: float, wall: float) -> None:
    """End the process by a signal after some seconds; 0 removes the limit."""
    signal.setitimer(signal.ITIMER_PROF, cpu)
    signal.setitimer(signal.ITIMER_REAL, wall)
