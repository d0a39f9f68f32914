"""Toy prompts, and the configuration of a recipe in a test's folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from asr_hf.cli.compose import load_config

from ..pages import ROOT
from ..toy_prompts import TRANSCRIPTS, write_package

# The scripts are no part of the installed package: they are found from the checkout.
sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session")
def package() -> Callable[..., Path]:
    return write_package


@pytest.fixture
def toy_transcripts() -> dict[str, str]:
    return dict(TRANSCRIPTS)


@pytest.fixture
def config_for(tmp_path: Path) -> Callable[..., DictConfig]:
    """The configuration of a recipe whose data and cache are in the test's folder."""

    def make(recipe: str, *overrides: str) -> DictConfig:
        return load_config(
            [
                f"+recipe={recipe}",
                f"paths.data={tmp_path / 'data'}",
                f"paths.cache={tmp_path / 'cache'}",
                *overrides,
            ]
        )

    return make
