"""The folder of one run: its configuration, its lock, its checkpoints."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.events import FILE_NAME as EVENTS
from asr_hf.runtime.files import write_text
from asr_hf.runtime.lock import held

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
    "paths",
    "corpus.dir",
)


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
            folder._keep(OmegaConf.to_container(config, resolve=True))
            # From here on, whoever has the folder lets go of it.
            folder._held = taken.pop_all()
            return folder

    def _keep(self, config: Any) -> None:
        """Write config.yaml, or refuse when a run of another configuration has begun here."""
        file = self.path / "config.yaml"
        if file.exists() and self._begun():
            changed = differences(_read_config(file), config)
            if changed:
                listed = "\n".join(f"    {line}" for line in changed)
                raise InputError(
                    f"{self.path}: holds a run of another configuration:\n{listed}",
                    remedy="give this run another folder with name=..., or remove the old one",
                )
        write_text(file, OmegaConf.to_yaml(OmegaConf.create(config)))

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


def differences(before: Any, after: Any, key: str = "") -> list[str]:
    """What differs between two plain configurations, as `key: old -> new`, but for EXTENDABLE."""
    if key in EXTENDABLE or before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            line
            for name in sorted({*before, *after}, key=str)
            for line in differences(
                before.get(name, "(absent)"),
                after.get(name, "(absent)"),
                f"{key}.{name}" if key else str(name),
            )
        ]
    return [f"{key}: {before} -> {after}"]
