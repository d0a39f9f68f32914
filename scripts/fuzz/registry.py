"""All parsers that are fuzzed."""

from __future__ import annotations

from scripts.fuzz import data_parsers, other_parsers

BY_NAME = {parser.name: parser for parser in (*data_parsers.PARSERS, *other_parsers.PARSERS)}
