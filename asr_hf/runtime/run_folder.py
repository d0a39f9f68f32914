"""The folder of one run: its configuration, its lock, its checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.events import FILE_NAME as EVENTS
from asr_hf.runtime.files import read_json, write_json, write_text
from asr_hf.runtime.lock import held

# What the run was begun with.
INPUTS = "inputs.json"

# What may change between two parts of one run without changing its result so far.
EXTENDABLE = (
    "trainer.stopping.max_iterations",
    "trainer.max_epochs",
    "trainer.max_iterations",
    "runtime.processes",
    "runtime.sharded",
    "runtime.timeout",
    "runtime.resident",
    "runtime.keep_checkpoints",
    "runtime.checkpoint_seconds",
    "alignment.jobs",
    "features.jobs",
    # How lattices are made; a run reads those that are there.
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
    "run_dir",
    "command",
    "paths",
    "corpus.dir",
)

_ABSENT = "(absent)"


class RunFolder:
    """A run folder that this process holds; use as a context manager.

    Args:
        path: exp/<name>.
        held: lets go of it when it is closed.
    """

    def __init__(self, path: Path, held: ExitStack) -> None:
        self.path, self._held = path, held
        self.checkpoints = path / "checkpoints"
        # Every iteration's model, where they are kept.
        self.models = path / "models"

    @classmethod
    def open(cls, path: Path, config: DictConfig) -> RunFolder:
        """Take hold of a run folder and keep the resolved configuration in it.

        Raises:
            InputError: the folder holds a run of another configuration, or is in use.
            RunError: it cannot be written to.
        """
        with ExitStack() as taken:
            taken.enter_context(held(path, "asr-hf train"))
            folder = cls(path, taken)
            folder._keep(
                OmegaConf.to_container(config, resolve=True),
                OmegaConf.to_container(config, resolve=False),
            )
            # From here on, whoever has the folder lets go of it.
            folder._held = taken.pop_all()
            return folder

    def _keep(self, config: Any, unresolved: Any) -> None:
        """Write config.yaml, or refuse when a run of another configuration has begun here."""
        file = self.path / "config.yaml"
        if file.exists() and self._begun():
            changed = differences(_read_config(file), config, unresolved)
            if changed:
                listed = "\n".join(f"    {line}" for line in changed)
                raise InputError(
                    f"{self.path}: holds a run of another configuration:\n{listed}",
                    remedy="give this run another folder with name=..., or remove the old one",
                )
        write_text(file, OmegaConf.to_yaml(OmegaConf.create(config)))

    def keep_inputs(
        self,
        inputs: Mapping[str, Any],
        changed: Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]],
    ) -> None:
        """Write inputs.json, or refuse when the run here began with other data.

        Args:
            inputs: JSON-able, by what each is.
            changed: lists in what two of them differ.

        Raises:
            InputError: they differ.
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
        self._held.__exit__(kind, error, trace)


def _read_config(file: Path) -> Any:
    try:
        return OmegaConf.to_container(OmegaConf.load(file))
    except (OSError, ValueError, RecursionError, YAMLError, OmegaConfBaseException) as error:
        raise InputError(
            f"{file}: cannot be read: {error}",
            expected="the configuration of the run that is kept there",
            remedy="give this run another folder with name=..., or remove the old one",
        ) from error


def flattened(config: Any, key: str = "", keep_all: bool = False) -> dict[str, Any]:
    """Return the values of a plain configuration by their whole keys.

    Args:
        config: a configuration, or a part of it.
        key: of the part.
        keep_all: keep those of EXTENDABLE, too.
    """
    if key in EXTENDABLE and not keep_all:
        return {}
    if not isinstance(config, dict):
        return {key: config}
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= flattened(value, f"{key}.{name}" if key else str(name), keep_all)
    return found


def differences(before: Any, after: Any, unresolved: Any = None) -> list[str]:
    """Return what differs between two plain configurations, as `key: old -> new`, but for EXTENDABLE.

    A value that follows another by `${...}`, in both, is left out where that other is listed.

    Args:
        before: a configuration, resolved.
        after: another, resolved.
        unresolved: the same as `after`, with its `${...}`; None lists all that differs.
    """
    changed = dict(_changes(before, after))
    return [line for key, line in changed.items() if not _follows(key, before, unresolved, changed)]


def _changes(before: Any, after: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield each key that differs, and its line."""
    if key in EXTENDABLE or before == after:
        return
    if not (isinstance(before, dict) and isinstance(after, dict)):
        yield key, f"{key}: {before} -> {after}"
        return
    for name in sorted({*before, *after}, key=str):
        below = f"{key}.{name}" if key else str(name)
        yield from _changes(before.get(name, _ABSENT), after.get(name, _ABSENT), below)


def _follows(key: str, before: Any, unresolved: Any, changed: Mapping[str, str]) -> bool:
    """Return whether a value changed for no other reason than that one which is listed did."""
    place, raw = _formula(key, unresolved)
    sources = re.findall(r"\$\{([A-Za-z_][\w.]*)\}", str(raw))
    below = key.removeprefix(place)
    if not any(_related(source + below, changed) for source in sources):
        return False
    try:
        tree = OmegaConf.create(before)
        was = OmegaConf.select(tree, place)
        OmegaConf.update(tree, place, raw, merge=False)
        follows = OmegaConf.select(tree, place)
    except (OmegaConfBaseException, ValueError):
        return False
    return bool(follows == was)


def _formula(key: str, unresolved: Any) -> tuple[str, Any]:
    """Return the value with `${...}` at a key or above it, and where it is."""
    node, names = unresolved, key.split(".")
    for number, name in enumerate(names):
        if not isinstance(node, dict) or name not in node:
            break
        node = node[name]
        if not isinstance(node, dict):
            return ".".join(names[: number + 1]), node
    return key, None


def _related(source: str, changed: Iterable[str]) -> bool:
    """Return whether a key is listed, or one above or below it."""
    return any(
        source == key or source.startswith(f"{key}.") or key.startswith(f"{source}.")
        for key in changed
    )
