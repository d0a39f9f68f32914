from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from asr_hf.cli.kinds import read_plain
from asr_hf.runtime.resources import conf_dir

FILES = sorted(conf_dir().rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(conf_dir())))
def test_plain_values_are_those_that_omegaconf_reads(path):
    expected = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    # Texts, for 1, 1.0 and true are equal.
    assert repr(read_plain(path.read_text(encoding="utf-8"))) == repr(expected)
