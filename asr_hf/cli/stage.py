"""Runs one stage, and turns errors that come from a bad configuration into input errors."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from asr_hf.cli.check import check_targets
from asr_hf.cli.typed import settings_of
from asr_hf.runtime.errors import AsrHfError, InputError
from asr_hf.runtime.lock import hold_folder
from asr_hf.settings.maker import MissingSetting
from asr_hf.settings.settings import Settings


def run_stage(verb: str, config: DictConfig, **more: Any) -> dict[str, Any]:
    """Run the stage asr_hf.stages.<verb>.

    Args:
        verb: name of the stage.
        config: configuration, complete.
        more: further arguments of the stage.

    Returns:
        Summary that the stage returns.

    Raises:
        InputError: an object that the configuration describes cannot be built, or a key that the
            stage needs was removed.
    """
    # Late, so that help and errors in overrides do not wait for torch.
    module = importlib.import_module(f"asr_hf.stages.{verb}")
    if verb == "train":
        check_targets(config)
    try:
        settings = settings_of(config)
        folder = _written_by(verb, settings)
        with nullcontext() if folder is None else hold_folder(folder, f"asr-hf {verb}"):
            summary: dict[str, Any] = module.run(settings, **more)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, AsrHfError):
            raise cause from error
        key = str(error).rpartition("full_key: ")[2]
        raise InputError(
            f"the configuration describes something that cannot be built: {key}: {cause or error}",
            remedy=f"asr-hf config with the same overrides prints it; asr-hf {verb} --help lists "
            "groups and options",
        ) from error
    except MissingSetting as error:
        problem = _lacking(verb, error.problem)
        raise problem from error
    except OmegaConfBaseException as error:
        problem = _lacking(verb, str(error).splitlines()[0])
        raise problem from error
    return summary


def _lacking(verb: str, what: str) -> InputError:
    return InputError(
        f"the configuration lacks something that {verb} needs: {what}",
        remedy="asr-hf config with the same overrides prints it",
    )


def _written_by(verb: str, settings: Settings) -> Path | None:
    """Return the folder that a verb writes to, which only one process at a time may do.

    Training holds its run folder itself. Where there is no corpus or run yet, no folder is made.

    Args:
        verb: verb.
        settings: settings of the command.

    Returns:
        The folder, or None where there is none to hold.
    """
    corpus = settings.corpus.dir
    if verb == "prepare":
        # The corpus is put in its place only when it is done.
        return corpus.with_name(f".{corpus.name}.{verb}")
    below = {"features": "fbank", "align": "align", "lattices": "lattices"}
    if verb in below:
        return corpus / below[verb] if corpus.is_dir() else None
    run = settings.run_dir
    return run / "decode" if verb in ("decode", "adapt") and run.is_dir() else None
