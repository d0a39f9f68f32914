"""Makes the scripts importable, which are no part of the installed package."""

from __future__ import annotations

import sys

from .repositories import ROOT

sys.path.insert(0, str(ROOT))
