"""The process that holds a folder, as the record in the folder's lock file describes it."""

from __future__ import annotations

import json
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

MAX_RECORD_BYTES = 4096


@dataclass(frozen=True)
class Holder:
    """The process that holds a folder.

    Attributes:
        what: what the process does there.
        pid: process number, in the process's own namespace.
        host: name of the machine.
        boot: identifier of this start of the machine.
        namespace: identifier of the namespace of process numbers.
        started: start time of the process, in ticks of its machine.
        token: random text that no other holder has.
    """

    what: str
    pid: int
    host: str
    boot: str
    namespace: str
    started: str
    token: str

    @classmethod
    def here(cls, what: str) -> Holder:
        """Return this process as a holder, with a new token."""
        boot = _line("/proc/sys/kernel/random/boot_id") or socket.gethostname()
        pid, host = os.getpid(), socket.gethostname()
        return cls(what, pid, host, boot, namespace(), start_time(pid), secrets.token_hex(8))

    @classmethod
    def read(cls, descriptor: int) -> Holder | None:
        """Return the holder that a lock file names; None where it is empty or damaged."""
        with suppress(ValueError, TypeError):
            holder = cls(**json.loads(os.pread(descriptor, MAX_RECORD_BYTES, 0)))
            pid, *texts = holder.pid, *(v for k, v in asdict(holder).items() if k != "pid")
            if type(pid) is int and all(type(text) is str for text in texts):
                return holder
        return None

    def record(self) -> bytes:
        """Return the record that stands in the lock file while this process holds the folder."""
        return json.dumps(asdict(self)).encode()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.what})"


def namespace() -> str:
    """Return the identifier of this process's namespace of process numbers; "" if unknown."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def start_time(pid: int) -> str:
    """Return the start time of a process of this machine, in ticks; "" where there is none."""
    # The process's name, in parentheses, may hold anything.
    fields = _line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def _line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
