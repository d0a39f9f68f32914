"""Who holds a folder, as the record in its lock file says; see `lock`."""

from __future__ import annotations

import json
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

# Bytes of a record at the most.
MOST = 4096


@dataclass(frozen=True)
class Holder:
    """Who holds a folder.

    Attributes:
        what: it does.
        pid: its number, in its own namespace.
        host: the machine's name.
        boot: what tells this start of this machine from all others.
        namespace: of process numbers.
        started: when it started, in ticks of that machine.
        token: its own.
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
        """Return this process, with a token of its own."""
        boot = _line("/proc/sys/kernel/random/boot_id") or socket.gethostname()
        pid, host = os.getpid(), socket.gethostname()
        return cls(what, pid, host, boot, namespace(), started(pid), secrets.token_hex(8))

    @classmethod
    def read(cls, opened: int) -> Holder | None:
        """Return what stands in a lock file; None where it is free, or is damaged."""
        with suppress(ValueError, TypeError):
            found = cls(**json.loads(os.pread(opened, MOST, 0)))
            pid, *texts = found.pid, *(v for k, v in asdict(found).items() if k != "pid")
            if type(pid) is int and all(type(text) is str for text in texts):
                return found
        return None

    def record(self) -> bytes:
        """Return what stands in the lock file while it holds the folder."""
        return json.dumps(asdict(self)).encode()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.what})"


def namespace() -> str:
    """Return what tells this process's numbers of processes from those of other containers."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def started(pid: int) -> str:
    """Return when a process of this machine started; empty where there is none."""
    # The name, in parentheses, may hold anything.
    fields = _line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def _line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
