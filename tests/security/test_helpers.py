"""What somebody on the network, or on this machine, can do to ranks that help one another."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.cli.processes import _TASKS, _task
from asr_hf.runtime import channel as channels
from asr_hf.runtime.address import listening_address
from asr_hf.runtime.channel import Channel, Refused, accept_channel, open_channel
from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.helpers import calls_of, serve_first_rank, using_helpers
from asr_hf.runtime.key import (
    KEY,
    KEY_FILE,
    key_from_environment,
    new_key_file,
    read_key,
    shared_key,
)
from asr_hf.runtime.process_group import ProcessGroup
from asr_hf.runtime.wire import Kinds, WireError, pack, unpack
from asr_hf.runtime.worker_pool import worker_pool
from asr_hf.runtime.workers import Task

SECRET = bytes(range(32))


@pytest.fixture
def pair():
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


@pytest.fixture
def met(pair):
    """Two ends that have shown one another the key."""
    found = []
    thread = threading.Thread(target=lambda: found.append(accept_channel(pair[0], SECRET)))
    thread.start()
    other = open_channel(pair[1], SECRET, 7)
    thread.join()
    rank, first = found[0]
    assert rank == 7
    return first, other


class Evil:
    """Runs code where it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return Path.touch, (self.proof,)


# Whoever connects.


def attempt(pair, act) -> type[BaseException]:
    """What the first rank makes of somebody who does `act` on the other end."""
    thread = threading.Thread(target=act, args=[pair[1]])
    thread.start()
    with pytest.raises(OSError) as caught:
        accept_channel(pair[0], SECRET)
    thread.join()
    return caught.type


def with_another_key(end):
    with pytest.raises(OSError):
        open_channel(end, b"x" * 32, 1)
        end.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError


def without_a_key(end):
    end.sendall(bytes(68))


def with_its_own_words(end):
    """Sends back what it is sent, as an answer."""
    hello = end.recv(1000)
    end.sendall(hello[-32:] + bytes(36))


def with_a_page(end):
    end.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: everything there is here\r\n\r\n")


@pytest.mark.parametrize("act", [without_a_key, with_its_own_words, with_a_page])
def test_who_does_not_know_the_key_is_not_let_in(pair, act):
    assert issubclass(attempt(pair, act), Refused)


def test_who_has_another_key_is_not_let_in(pair):
    thread = threading.Thread(target=with_another_key, args=[pair[1]])
    thread.start()
    with pytest.raises(Refused):
        accept_channel(pair[0], SECRET)
    pair[0].close()
    thread.join()


def test_a_pickle_is_not_looked_at(pair, tmp_path):
    proof = tmp_path / "proof"
    attempt(pair, lambda end: end.sendall(pickle.dumps(Evil(proof)).ljust(68, b".")))
    assert not proof.exists()


def test_who_says_nothing_is_not_waited_for_long(pair, monkeypatch):
    monkeypatch.setattr(channels, "HANDSHAKE_SECONDS", 0.2)
    start = time.monotonic()
    with pytest.raises(Refused, match="in time"):
        accept_channel(pair[0], SECRET)
    assert time.monotonic() - start < 5


def test_who_says_a_byte_now_and_then_is_not_waited_for_long(pair, monkeypatch):
    monkeypatch.setattr(channels, "HANDSHAKE_SECONDS", 0.5)

    def drip() -> None:
        for _ in range(100):
            try:
                pair[1].send(b"x")
            except OSError:
                return
            time.sleep(0.05)

    threading.Thread(target=drip).start()
    start = time.monotonic()
    with pytest.raises(Refused, match="in time"):
        accept_channel(pair[0], SECRET)
    assert time.monotonic() - start < 4
    pair[0].close()


def test_a_helper_does_nothing_for_a_first_rank_without_the_key(pair):
    pair[0].sendall(b"asr-hf helpers 1" + bytes(32) + bytes(32))
    with pytest.raises(Refused, match="does not know the key"):
        open_channel(pair[1], SECRET, 1)


def test_a_first_rank_that_repeats_an_old_meeting_is_refused():
    """What one helper was told tells another nothing: both ends draw numbers of their own."""
    said = []
    for _ in range(2):
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=accept_channel, args=[ours, SECRET])
        thread.start()
        workers_from = open_channel(theirs, SECRET, 1)
        thread.join()
        said.append((workers_from._out, workers_from._into))
        ours.close()
        theirs.close()
    assert len({*said[0], *said[1]}) == 4


# What comes over a connection.


def test_frames_come_as_they_were_sent(met):
    first, other = met
    for body in ([b""], [b"a", b"bc"], [bytes(3_000_000)]):
        thread = threading.Thread(target=first.send, args=[body])
        thread.start()
        assert other.receive() == b"".join(body)
        thread.join()
        other.send([b"back"])
        assert first.receive() == b"back"


def recorded(met) -> bytes:
    """The bytes of a frame from the first rank."""
    first, other = met
    first.send([b"an order"])
    return other._socket.recv(10_000)


def test_a_frame_that_is_repeated_is_refused(met):
    first, other = met
    frame = recorded(met)
    first._socket.sendall(frame + frame)
    assert other.receive() == b"an order"
    with pytest.raises(Refused, match="expected frame 1"):
        other.receive()


def test_a_frame_that_is_sent_back_is_refused(met):
    first, other = met
    frame = recorded(met)
    other._socket.sendall(frame)
    with pytest.raises(Refused, match="does not know the key"):
        first.receive()


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 16 + 32 + 8 + 32 - 1), bit=st.integers(0, 7))
def test_a_frame_that_is_changed_is_refused(at, bit):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender, receiver = Channel(ours, SECRET, b""), Channel(theirs, b"", SECRET)
        sender.send([b"an order"])
        frame = bytearray(theirs.recv(1000))
        assert len(frame) == 88
        frame[at] ^= 1 << bit
        ours.sendall(frame)
        with pytest.raises(Refused):
            receiver.receive()


def test_a_frame_that_is_left_out_is_noticed(met):
    first, other = met
    recorded(met)
    first.send([b"the next"])
    with pytest.raises(Refused, match="expected frame 0"):
        other.receive()


@pytest.mark.parametrize("size", [0, 1 << 30, (1 << 64) - 1])
def test_no_memory_is_taken_for_a_length_that_is_not_signed(met, size):
    _, other = met
    met[0]._socket.sendall(bytes(8) + size.to_bytes(8, "big") + bytes(32))
    with pytest.raises(Refused):
        other.receive()


def test_a_frame_that_is_too_long_is_refused_even_when_signed(met, monkeypatch):
    first, other = met
    monkeypatch.setattr(channels, "MAX_FRAME_BYTES", 100)
    thread = threading.Thread(target=first.send, args=[[bytes(101)]])
    thread.start()
    with pytest.raises(Refused, match="101 bytes"):
        other.receive()
    thread.join()


# What a message can say.


@dataclass(frozen=True)
class Point:
    """Something that may be sent."""

    x: int
    where: np.ndarray | None = None


KINDS = Kinds([Point])
ARRAYS = st.sampled_from(["<f4", "<f8", "<i4", "<i8", "|u1", "|b1", "<f2", "<U3"]).flatmap(
    lambda kind: st.builds(
        lambda shape: np.zeros(shape, kind), st.lists(st.integers(0, 3), max_size=3)
    )
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.just(Path("a/b"))
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.integers() | st.text() | st.tuples(st.text()), inner, max_size=3)
        | st.builds(Point, st.integers(), st.none())
    ),
)


def sent(value, kinds=KINDS):
    return unpack(bytearray(b"".join(pack(value, kinds))), kinds)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_plain_values_come_as_they_were_sent(value):
    found = sent(value)
    assert found == value and type(found) is type(value)


@settings(max_examples=60, deadline=None)
@given(ARRAYS)
def test_arrays_come_as_they_were_sent(array):
    found = sent([array, Point(1, array)])
    assert found[0].dtype == array.dtype and found[0].shape == array.shape
    np.testing.assert_array_equal(found[1].where, array)


def test_arrays_of_records_and_of_any_order_come_as_they_were_sent():
    records = np.zeros(3, [("a", "<i4"), ("b", "<f4")])
    records["a"] = [1, 2, 3]
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    found = sent((records, turned, np.float32(0.1), float("inf")))
    np.testing.assert_array_equal(found[0], records)
    assert found[0].dtype == records.dtype
    np.testing.assert_array_equal(found[1], turned)
    assert type(found[2]) is np.float32 and found[2] == np.float32(0.1)
    assert found[3] == float("inf")


@pytest.mark.parametrize(
    "value",
    [Evil(Path("x")), np.array([Evil(Path("x"))], object), print, {1}, b"bytes", InputError],
    ids=["object", "array of objects", "function", "set", "bytes", "class"],
)
def test_nothing_else_can_be_sent(value):
    with pytest.raises(WireError):
        pack([value], KINDS)


def forged(tree: bytes, arrays: bytes = b"") -> bytearray:
    start = 16 + len(tree)
    return bytearray(len(tree).to_bytes(8, "big") + start.to_bytes(8, "big") + tree + arrays)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        bytes(15),
        forged(b""),
        forged(b"[") + bytes(64),
        (1 << 63).to_bytes(8, "big") * 2,
        forged(b'{"kind": ["Evil", 1]}'),
        forged(b'{"kind": ["os.system", "true"]}'),
        forged(b'{"kind": ["Point"]}'),
        forged(b'{"kind": ["Point", 1, 2, 3]}'),
        forged(b'{"kind": [["Point"], 1, null]}'),
        forged(b'{"pickle": "gASVKAAAAAAA"}'),
        forged(b'{"py/object": "os.system"}'),
        forged(b'{"array": ["|O", [1], 0]}', bytes(64)),
        forged(b'{"array": [[["a", "|O"]], [1], 0]}', bytes(64)),
        forged(b'{"array": ["<f4", [1000000000000], 0]}', bytes(64)),
        forged(b'{"array": ["<f4", [-1], 0]}', bytes(64)),
        forged(b'{"array": ["<f4", [1], -4]}', bytes(64)),
        forged(b'{"array": ["<f4", [1.5], 0]}', bytes(64)),
        forged(b'{"array": ["|V0", [9], 0]}', bytes(64)),
        forged(b'{"array": ["<f4", [0, 9223372036854775807, 9223372036854775807], 0]}'),
        forged(b'{"a": 1, "b": 2}'),
        forged(b"{}"),
        forged(b"[" * 100_000 + b"]" * 100_000),
    ],
    ids=range(23),
)
def test_what_is_no_message_is_refused(message):
    with pytest.raises(WireError):
        unpack(bytearray(message), KINDS)


# The key.


def test_the_key_is_written_for_this_user_alone_and_goes(tmp_path):
    before = os.umask(0)
    try:
        with new_key_file(tmp_path) as (name, key):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
            assert shared_key(tmp_path, name) == key and len(key) == 32
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_can_read_or_write_is_refused(tmp_path, mode):
    path = tmp_path / "key"
    path.write_text("k" * 64)
    path.chmod(mode)
    with pytest.raises(InputError, match="others can read or write"):
        read_key(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "key"
    path.write_text("k" * 64)
    path.chmod(0o600)
    os.chown(path, 12345, 12345)
    with pytest.raises(InputError, match="others can read"):
        read_key(path)


def test_a_key_behind_a_link_is_refused(tmp_path):
    (tmp_path / "real").write_text("k" * 64)
    (tmp_path / "real").chmod(0o600)
    (tmp_path / "key").symlink_to("real")
    with pytest.raises(InputError, match="cannot be read"):
        read_key(tmp_path / "key")


@pytest.mark.parametrize(
    "name",
    ["../../etc/hostname", "/etc/hostname", ".asr-hf-x.key", "", f".asr-hf-{'0' * 32}.key/../x"],
)
def test_the_store_cannot_choose_the_file(tmp_path, name):
    with pytest.raises(InputError, match="no name of a file"):
        shared_key(tmp_path, name)


@pytest.mark.parametrize("text", ["short", "x" * 31, " " * 64])
def test_a_key_that_can_be_guessed_is_refused(monkeypatch, text):
    monkeypatch.setenv(KEY, text)
    with pytest.raises(InputError, match=KEY):
        key_from_environment()


def test_the_environment_names_the_key_or_its_file(monkeypatch, tmp_path):
    assert key_from_environment() is None
    path = tmp_path / "key"
    path.write_text("k" * 40 + "\n")
    path.chmod(0o600)
    monkeypatch.setenv(KEY_FILE, str(path))
    from_file = key_from_environment()
    monkeypatch.setenv(KEY, "k" * 40)
    assert key_from_environment() == from_file


# Ranks that meet.


class Numbers:
    """Adds to what it has."""

    def __init__(self, start: int) -> None:
        self.start = start

    def add(self, number: int) -> int:
        """The sum."""
        return self.start + number

    def fail(self, words: tuple[str, str]) -> None:
        """Fail."""
        if words[0] == "full":
            raise OSError(28, "No space left on device", "/x")
        if words[0] == "odd":
            raise ZeroDivisionError(words[1])
        raise InputError(words[0], remedy=words[1])


ADDING = Task("adding", Numbers, (Numbers.add, Numbers.fail))


@pytest.fixture
def ranks(tmp_path, monkeypatch):
    """The first of two ranks, whose helper is a thread that works until it is left alone."""
    monkeypatch.chdir(tmp_path)
    store = dist.FileStore(str(tmp_path / "store"), 2)
    two = [ProcessGroup(rank, 2, rank, 2, None, store) for rank in range(2)]
    told = []

    def work() -> None:
        try:
            serve_first_rank(two[1], {"adding": ADDING}.__getitem__)
        except Exception as error:
            told.append(error)

    helper = threading.Thread(target=work)
    helper.start()
    yield two[0]
    helper.join(20)
    assert not helper.is_alive() and not told


def listening() -> int:
    """How many sockets of TCP this process listens on."""
    mine = {os.path.realpath(f"/proc/self/fd/{n}").rpartition("/")[2] for n in range(200)}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] == "0A" and f"socket:[{row[9]}]" in mine for row in rows)


def test_helpers_do_what_stands_in_their_table(ranks):
    with using_helpers(ranks), worker_pool(ADDING, 5, 1, "sums") as workers:
        assert list(workers.map(Numbers.add, range(4))) == [5, 6, 7, 8]
        for words, kind in ((("p", "r"), InputError), (("full", ""), OSError)):
            with pytest.raises(kind):
                list(workers.map(Numbers.fail, [words]))
        with pytest.raises(RunError, match="ZeroDivisionError: x"):
            list(workers.map(Numbers.fail, [("odd", "x")]))
        assert list(workers.map(Numbers.add, [1])) == [6]


def test_nothing_listens_while_helpers_work_and_no_key_lies_about(ranks, tmp_path):
    before = listening()
    with using_helpers(ranks):
        assert listening() == before
        assert [p.name for p in tmp_path.iterdir()] == ["store"]


def test_the_key_is_not_in_the_store(ranks, tmp_path, monkeypatch):
    drawn = []
    real = new_key_file.__wrapped__

    def noting(folder):
        for name, key in real(folder):
            drawn.extend([key, (folder / name).read_bytes()])
            yield name, key

    monkeypatch.setattr("asr_hf.runtime.helpers.new_key_file", contextmanager(noting))
    with using_helpers(ranks):
        pass
    kept = (tmp_path / "store").read_bytes()
    assert len(drawn) == 2 and kept
    for secret in drawn:
        assert secret not in kept and secret.hex().encode() not in kept


def test_strangers_neither_get_in_nor_stop_the_ranks(tmp_path, monkeypatch):
    """They come before the helper does: one is silent, one sends a pickle, one has another key."""
    monkeypatch.chdir(tmp_path)
    store = dist.FileStore(str(tmp_path / "store"), 2)
    two = [ProcessGroup(rank, 2, rank, 2, None, store) for rank in range(2)]
    proof, held = tmp_path / "proof", []

    def come() -> None:
        host, port = store.get("helpers/place").decode().split(":")
        assert host == "127.0.0.1"
        silent = socket.create_connection((host, int(port)))
        held.append(silent)
        with socket.create_connection((host, int(port))) as second:
            second.sendall(pickle.dumps(Evil(proof)) * 10)
        with socket.create_connection((host, int(port))) as third, pytest.raises(OSError):
            open_channel(third, b"another", 1)
        serve_first_rank(two[1], {"adding": ADDING}.__getitem__)

    thread = threading.Thread(target=come)
    thread.start()
    with using_helpers(two[0]), worker_pool(ADDING, 1, 1, "sums") as workers:
        assert list(workers.map(Numbers.add, [1])) == [2]
    thread.join(20)
    assert not thread.is_alive() and not proof.exists()
    held[0].close()


def test_a_function_that_is_not_in_the_table_is_not_called(met, tmp_path):
    from asr_hf.runtime.helpers import _TaskServer

    first, other = met
    desk = _TaskServer({"adding": ADDING}.__getitem__, other)

    def ask(what, name, argument):
        first.send(pack((what, name)))
        first.send(pack(argument))
        desk.serve()
        return unpack(first.receive())

    assert ask("take", "adding", 1) == (True, None)
    assert ask("call", "Numbers.add", 1) == (True, 2)
    for what, name in (
        ("call", "system"),
        ("call", "os.system"),
        ("call", "Numbers.__init__"),
        ("take", "os"),
        ("eval", "1"),
        ("answer", "x"),
    ):
        good, told = ask(what, name, f"touch {tmp_path / 'proof'}")
        assert not good and told[0] == "RunError"
    assert not (tmp_path / "proof").exists()
    assert ask("drop", "", None) == (True, None)
    assert not ask("call", "Numbers.add", 1)[0]


def test_every_task_of_the_stages_is_known_by_its_name_and_makes_no_two_kinds_alike():
    for name in _TASKS:
        task = _task(name)
        assert task.name == name and calls_of(task)
        Kinds(task.kinds)
    with pytest.raises(KeyError):
        _task("os")


def test_every_team_of_the_source_has_its_task_in_the_table():
    root = Path(__file__).resolve().parents[2] / "asr_hf"
    made = [
        line
        for path in root.rglob("*.py")
        for line in path.read_text().splitlines()
        if "= Task(" in line
    ]
    assert len(made) == len(_TASKS)


def test_an_hmm_system_comes_as_it_was_sent():
    from asr_hf.hmm.graph.lexicon import Lexicon
    from asr_hf.hmm.system import HMM_KINDS, HmmSystem

    lexicon = Lexicon("en", {"a": (("b", "c"),), "d": (("b",), ("c", "b"))})
    system = HmmSystem.create([lexicon])
    found = sent(system, Kinds(HMM_KINDS))
    assert found.phones == system.phones and found.languages == system.languages
    np.testing.assert_array_equal(found.transitions.log_probs, system.transitions.log_probs)
    assert found.transitions.topology == system.transitions.topology


def test_a_copy_with_all_its_effects_comes_as_it_was_sent():
    from asr_hf.data.augment.babble import Babble
    from asr_hf.data.augment.chain import Effects
    from asr_hf.data.augment.copies import COPYING
    from asr_hf.data.augment.noise import Noise
    from asr_hf.data.augment.table import Copy

    babble, noise = Babble(("a", "b"), (0.5, 1.25), 10.0), Noise("pink", 7, 15.0)
    effects = Effects(1.1, babble, noise, (200, 3400), -3.5, "gsm")
    copy = Copy("x1-u", "u", 1, effects)
    assert sent(copy, Kinds(COPYING.kinds)) == copy


# Where the first rank listens.


def placed(local_count: int, monkeypatch, **environment: str) -> tuple[str, int]:
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return listening_address(ProcessGroup(0, 4, 0, local_count, None, None))


def test_on_one_machine_it_listens_on_the_loopback(monkeypatch):
    assert placed(4, monkeypatch, MASTER_ADDR="0.0.0.0") == ("127.0.0.1", 0)


def test_on_several_it_listens_on_the_interface_that_is_used(monkeypatch):
    own = socket.gethostbyname(socket.gethostname())
    if own.startswith("127."):
        pytest.skip("this machine has no name in a network")
    assert placed(2, monkeypatch, MASTER_ADDR=socket.gethostname()) == (own, 0)
    named = placed(2, monkeypatch, MASTER_ADDR="elsewhere", GLOO_SOCKET_IFNAME="lo")
    assert named == ("127.0.0.1", 0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"MASTER_ADDR": "127.0.0.1"}, "cannot reach"),
        ({"MASTER_ADDR": "192.0.2.1"}, "cannot listen there"),
        ({"MASTER_ADDR": "x", "GLOO_SOCKET_IFNAME": "no-such"}, "no-such"),
    ],
)
def test_an_address_that_others_cannot_reach_is_refused(monkeypatch, settings, said):
    with pytest.raises(InputError, match=said):
        placed(2, monkeypatch, **settings)


POOL = """
import copy, operator, os, pathlib
from asr_hf.runtime.worker_pool import worker_pool
from asr_hf.runtime.workers import Task

def rows(kind):
    return [line.split() for line in open(f"/proc/net/{kind}")][1:]

with worker_pool(Task("x", copy.copy), 1, 2, "x") as workers:
    assert list(workers.map(operator.add, [1, 2])) == [2, 3]
    children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert len(children) == 2
    mine = set()
    for pid in [os.getpid(), *children]:
        for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            mine.add(os.path.realpath(entry).rpartition("/")[2])
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        print(sum(f"socket:[{row[9]}]" in mine for row in rows(kind)))
    unix = [row for row in rows("unix") if f"socket:[{row[6]}]" in mine]
    # A pair has neither an address nor the flag of a socket that listens.
    print(sum(len(row) > 7 or int(row[3], 16) & 0x10000 for row in unix))
"""


def test_a_pool_of_one_machine_listens_nowhere():
    """No socket of the network; of the machine's own none that has an address or listens."""
    command = [sys.executable, "-c", POOL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["0"] * 5, done.stderr
