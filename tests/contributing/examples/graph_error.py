"""Cross-entropy against graphs, of which each is a path."""

from __future__ import annotations

from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.criteria.needs import CriterionNeeds, Targets


class GraphError(CrossEntropy):
    """-log p of the path: its targets have labels of frames."""

    needs = CriterionNeeds(Targets.GRAPHS)
