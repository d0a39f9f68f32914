"""Runs one stage and turns what a bad configuration does to it into an input error."""

from __future__ import annotations

import importlib
from typing import Any

from hydra.errors import InstantiationException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from asr_hf.cli.check import check_targets
from asr_hf.runtime.errors import AsrHfError, InputError


def run_stage(verb: str, config: DictConfig, **more: Any) -> dict[str, Any]:
    """Run asr_hf.stages.<verb>, which `more` is handed on to.

    Raises:
        InputError: an object that the configuration describes cannot be built, or a key that the
            stage needs was removed.
    """
    # Late, so that help and errors in overrides do not wait for torch.
    module = importlib.import_module(f"asr_hf.stages.{verb}")
    if verb == "train":
        check_targets(config)
    try:
        summary: dict[str, Any] = module.run(config, **more)
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
    except OmegaConfBaseException as error:
        raise InputError(
            f"the configuration lacks something that {verb} needs: {str(error).splitlines()[0]}",
            remedy="asr-hf config with the same overrides prints it",
        ) from error
    return summary
