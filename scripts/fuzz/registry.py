"""All parsers that are fuzzed."""

from __future__ import annotations

from scripts.fuzz import (
    data_parsers,
    game_parsers,
    kaldi_parsers,
    other_parsers,
    recipe_parsers,
)

_MODULES = (data_parsers, game_parsers, kaldi_parsers, other_parsers, recipe_parsers)
BY_NAME = {parser.name: parser for module in _MODULES for parser in module.PARSERS}
