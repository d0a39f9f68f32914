"""The folder of one run, with its configuration, its lock and its checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.events import FILE_NAME as EVENTS
from asr_hf.runtime.files import read_json, write_json, write_text
from asr_hf.runtime.lock import hold_folder
from asr_hf.runtime.plain_yaml import plain_yaml
from asr_hf.runtime.run_config import FILE_NAME, read_plain_yaml

# Describes the data that the run began with.
INPUTS = "inputs.json"

# Settings that may change when a run goes on, because they do not change its result so far.
EXTENDABLE = (
    "trainer.stopping.max_iterations",
    "trainer.max_iterations",
    "runtime.processes",
    "runtime.sharded",
    "runtime.timeout",
    "runtime.resident",
    "runtime.keep_checkpoints",
    "runtime.checkpoint_seconds",
    "alignment.jobs",
    "features.jobs",
    # Settings for making lattices; a run only reads those that are there.
    "lattices.from_run",
    "lattices.sets",
    "lattices.utterances",
    "lattices.acoustic_scale",
    "lattices.lm_order",
    "lattices.beam",
    "lattices.lattice_beam",
    "lattices.max_arcs_per_frame",
    "lattices.jobs",
    "decode",
    "export",
    "adapt.old_sets",
    "run_dir",
    "command",
    "paths",
    "corpus.dir",
)

_ABSENT = "(absent)"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")


class RunFolder:
    """A run folder that this process holds; use as a context manager.

    Args:
        path: the folder, exp/<name>.
        lock: lets go of the folder when it is closed.

    Attributes:
        path: the folder.
        checkpoints: folder of the checkpoints.
        models: folder of every iteration's model, if they are kept.
    """

    def __init__(self, path: Path, lock: ExitStack) -> None:
        self.path, self._lock = path, lock
        self.checkpoints = path / "checkpoints"
        self.models = path / "models"

    @classmethod
    def open(
        cls, path: Path, config: Mapping[str, Any], unresolved: Mapping[str, Any] | None = None
    ) -> RunFolder:
        """Take hold of a run folder and keep the configuration in it.

        Args:
            path: run folder.
            config: configuration as plain values, resolved.
            unresolved: configuration with its `${...}`; None where it has none.

        Returns:
            The folder, held.

        Raises:
            InputError: the folder holds a run of another configuration, or is in use.
            RunError: the folder cannot be written to.
        """
        with ExitStack() as taken:
            taken.enter_context(hold_folder(path, "asr-hf train"))
            folder = cls(path, taken)
            folder._keep(config, config if unresolved is None else unresolved)
            # From here on, whoever has the folder lets go of it.
            folder._lock = taken.pop_all()
            return folder

    def _keep(self, config: Mapping[str, Any], unresolved: Mapping[str, Any]) -> None:
        """Write config.yaml, or refuse when a run of another configuration has begun here."""
        file = self.path / FILE_NAME
        if file.exists() and self._begun():
            changed = differences(_read_config(file), config, unresolved)
            if changed:
                listed = "\n".join(f"    {line}" for line in changed)
                raise InputError(
                    f"{self.path}: holds a run of another configuration:\n{listed}",
                    remedy="give this run another folder with name=..., or remove the old one",
                )
        write_text(file, plain_yaml(config))

    def keep_inputs(
        self,
        inputs: Mapping[str, Any],
        changed: Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]],
    ) -> None:
        """Write inputs.json, or refuse if the run here began with other data.

        Args:
            inputs: JSON-able descriptions of the inputs, by their role.
            changed: lists in what two such descriptions differ, a line each.

        Raises:
            InputError: the inputs differ.
        """
        file = self.path / INPUTS
        if file.exists() and self._begun():
            if lines := changed(read_json(file), inputs):
                listed = "\n".join(f"    {line}" for line in lines)
                raise InputError(
                    f"{self.path}: the run here began with other data:\n{listed}",
                    expected="all that it was begun with",
                    remedy="bring that back, give this run another folder with name=..., or "
                    "remove the old one",
                )
            return
        write_json(file, inputs)

    def _begun(self) -> bool:
        return (self.path / EVENTS).exists() or any(self.checkpoints.glob("*"))

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.__exit__(kind, error, trace)


def _read_config(file: Path) -> Any:
    try:
        return read_plain_yaml(file)
    except InputError as error:
        raise InputError(
            error.problem,
            expected="the configuration of the run that is kept there",
            remedy="give this run another folder with name=..., or remove the old one",
        ) from error


def flattened(config: Any, key: str = "", keep_all: bool = False) -> dict[str, Any]:
    """Return the values of a plain configuration by their whole keys.

    Args:
        config: configuration, or a part of it.
        key: whole key of the part; empty for a whole configuration.
        keep_all: whether the settings in EXTENDABLE are kept.
    """
    if key in EXTENDABLE and not keep_all:
        return {}
    if not isinstance(config, dict):
        return {key: config}
    values: dict[str, Any] = {}
    for name, value in config.items():
        values |= flattened(value, f"{key}.{name}" if key else str(name), keep_all)
    return values


def differences(before: Any, after: Any, unresolved: Any = None) -> list[str]:
    """Return what differs between two plain configurations, as lines `key: old -> new`.

    Settings in EXTENDABLE are left out. A value that refers to another one by `${...}`, in both
    configurations, is left out where that other one is listed.

    Args:
        before: earlier configuration, resolved.
        after: later configuration, resolved.
        unresolved: later configuration with its `${...}`; None lists all that differs.
    """
    changed = dict(_changes(before, after))
    return [line for key, line in changed.items() if not _follows(key, before, unresolved, changed)]


def _changes(before: Any, after: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield each key that differs, with its line."""
    if key in EXTENDABLE or before == after:
        return
    if not (isinstance(before, dict) and isinstance(after, dict)):
        yield key, f"{key}: {before} -> {after}"
        return
    for name in sorted({*before, *after}, key=str):
        below = f"{key}.{name}" if key else str(name)
        yield from _changes(before.get(name, _ABSENT), after.get(name, _ABSENT), below)


def _follows(key: str, before: Any, unresolved: Any, changed: Mapping[str, str]) -> bool:
    """Return whether a value changed only because it refers to another one that is listed."""
    place, raw = _formula(key, unresolved)
    sources = _REFERENCE.findall(str(raw))
    below = key.removeprefix(place)
    if not any(_related(source + below, changed) for source in sources):
        return False
    try:
        return bool(_resolved(raw, before) == _at(place, before))
    except LookupError:
        return False


def _resolved(raw: Any, config: Any) -> Any:
    """Return the value that `${...}` stands for in a resolved configuration.

    Raises:
        LookupError: a key is missing, or is computed.
    """
    if isinstance(raw, list):
        return [_resolved(item, config) for item in raw]
    if isinstance(raw, dict):
        return {name: _resolved(value, config) for name, value in raw.items()}
    if not isinstance(raw, str):
        return raw
    if whole := _REFERENCE.fullmatch(raw):
        return _at(whole[1], config)
    text = _REFERENCE.sub(lambda reference: str(_at(reference[1], config)), raw)
    if "${" in text:
        raise LookupError(raw)
    return text


def _at(key: str, config: Any) -> Any:
    """Return the value at a dotted key.

    Raises:
        LookupError: the configuration has no such key.
    """
    for name in key.split("."):
        if not isinstance(config, dict) or name not in config:
            raise LookupError(key)
        config = config[name]
    return config


def _formula(key: str, unresolved: Any) -> tuple[str, Any]:
    """Return the unresolved value at a key, or above it, and the key where it stands."""
    node, names = unresolved, key.split(".")
    for number, name in enumerate(names):
        if not isinstance(node, dict) or name not in node:
            break
        node = node[name]
        if not isinstance(node, dict):
            return ".".join(names[: number + 1]), node
    return key, None


def _related(source: str, changed: Iterable[str]) -> bool:
    """Return whether a key has changed, or one above or below it."""
    return any(
        source == key or source.startswith(f"{key}.") or key.startswith(f"{source}.")
        for key in changed
    )
