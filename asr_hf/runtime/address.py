"""The address that the first rank listens on, by which the other ranks reach it."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.process_group import ProcessGroup

_LOOPBACK = "127.0.0.1"
_INTERFACE = "GLOO_SOCKET_IFNAME"
_SIOCGIFADDR = 0x8915
_REMEDY = f"{_INTERFACE}=<the interface that leads to the other machines>, on all ranks"


def listening_address(group: ProcessGroup) -> tuple[str, int]:
    """Return the host and the port that the first rank listens on; port 0 stands for any.

    It is the loopback address where all ranks are on one machine, and otherwise the address of the
    interface that GLOO_SOCKET_IFNAME names, or of MASTER_ADDR: this machine's name in the network.

    Raises:
        InputError: MASTER_ADDR is not an address of this machine, or only this machine can reach
            it.
    """
    if group.local_count == group.count:
        return _LOOPBACK, 0
    if name := os.environ.get(_INTERFACE, "").split(",")[0]:
        return _address_of(name), 0
    master = os.environ.get("MASTER_ADDR", "")
    try:
        address = socket.gethostbyname(master)
        with socket.socket() as probe:
            probe.bind((address, 0))
    except OSError as error:
        raise InputError(
            f"MASTER_ADDR={master}: the first rank cannot listen there: {error.strerror or error}",
            expected="an address of its machine",
            remedy=_REMEDY,
        ) from error
    if address.startswith("127."):
        raise InputError(
            f"MASTER_ADDR={master}: to the first rank that is {address}, which other machines "
            "cannot reach",
            remedy=_REMEDY,
        )
    return address, 0


def _address_of(interface: str) -> str:
    """Return the address of an interface (Linux)."""
    request = struct.pack("256s", interface.encode()[:15])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            reply = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
    except OSError as error:
        raise InputError(
            f"{_INTERFACE}={interface}: {error.strerror}",
            expected="an interface of this machine with an address",
            remedy=_REMEDY,
        ) from error
    return socket.inet_ntoa(reply[20:24])
