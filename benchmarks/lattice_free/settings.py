"""All settings of the table of word errors: corpora, networks, criteria and lengths of runs."""

from __future__ import annotations

from dataclasses import dataclass

# Every command has these: one thread a run, so that two runs share two cores.
COMMON = "runtime.threads=1 runtime.device=cpu"
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class CorpusSettings:
    """A corpus of the table.

    Args:
        recipe: recipe of the corpus.
        network: overrides of the network, the same for all criteria.
        seconds: seconds of training by cross-entropy, and as many by LF-MMI.
        tests: sets whose word errors are added up.
        cross_entropy: overrides of cross-entropy alone, those of the fewest errors on dev that were
            tried.
        lattice_free: likewise of LF-MMI.
    """

    recipe: str
    network: str
    seconds: int
    tests: tuple[str, ...] = ("test",)
    cross_entropy: str = ""
    lattice_free: str = ""


_RELU = "model.activation=relu model.initialisation=he"
_HIDING = "augment=spec_augment"
# An eighth of a second on each side: the outputs are 30 ms apart.
_WIDE = "model.left=12 model.right=12"

CORPORA = {
    "prompts5": CorpusSettings(
        "prompts5",
        f"model=dnn model.hidden_sizes=[256,256,256,256,256] {_RELU} {_WIDE} "
        "model.normalisation=rms",
        240,
        lattice_free="model.dropout=0.2",
    ),
    "queen": CorpusSettings(
        "queen",
        f"model=dnn model.hidden_sizes=[512,512,512,512] {_RELU} {_WIDE} {_HIDING} "
        "model.normalisation=batch",
        360,
    ),
    "fillets": CorpusSettings(
        "fillets",
        "model=tdnn model.context=[[-2,-1,0,1,2],[-1,2],[-3,3],[-6,6]] model.hidden_sizes=[256] "
        f"{_RELU} {_HIDING} model.normalisation=rms",
        360,
    ),
}
