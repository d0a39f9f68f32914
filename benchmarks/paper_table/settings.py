"""All settings of the table: rows, corpora, networks, lattices and lengths of runs.

The regime is that of Sainath et al. (2013): from a cross-entropy network, sMBR by HF with CG runs
of full length, iterates judged on held-out data, a line search, and λ that follows ρ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Every command has these: one thread a run, so that two runs share two cores; and monophone states,
# whose sharper posteriors the search for lattices can do with.
COMMON = (
    "alignment=monophone model=dnn model.activation=sigmoid model.hidden_sizes=[256,256,256,256] "
    "runtime.threads=1 runtime.device=cpu"
)
# Cross-entropy networks: the quickest preset for sigmoid units.
CROSS_ENTROPY = "+preset=kfac_cg trainer.stopping.patience=0"
# Beams that suit acoustic scales of about 0.1 to 0.2; without a bound on active states wider ones
# take hours where posteriors are flat.
LATTICES = "lattices.beam=13 lattices.lattice_beam=8"
# The curvature at the outputs is cross-entropy's: with that of the lattices q promises more than
# sMBR gives unless λ is so large that CG runs are a few steps, with nothing to precondition.
# λ starts where ρ is about 1. Looks after every iteration tell when a loss is reached; times and
# work do not hold them. Every model is kept: that at which the loss is reached is decoded.
SEQUENCE = (
    "+stage=smbr +preset=paper criterion.curvature=cross_entropy damping.value=0.001 "
    "runtime.look_share=null runtime.keep_models=true decode.choose=0 trainer.stopping.patience=0"
)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Args:
        key: name in the results and in the names of runs.
        label: label on the page.
        overrides: overrides beside those of `SEQUENCE`.
    """

    key: str
    label: str
    overrides: str


_PLAIN = "solver=cg preconditioner=identity"
_PRECONDITIONED = "solver=flexible_cg preconditioner=lbfgs"
# The gradient of all data, and the curvature of as large a share as growing samples end with.
_FIXED = "sampling=fixed sampling.gradient=1.0 sampling.curvature=0.05"
# Growth and bounds are those of +preset=paper. Its first sizes, 5 % and 1 % of the data, are a few
# utterances of so little speech, and their steps are rejected.
_GROWING = "sampling=geometric sampling.gradient=16384 sampling.curvature=4096"

ROWS = (
    Row("plain", "HF", f"{_PLAIN} {_FIXED}"),
    Row("preconditioner", "+ L-BFGS preconditioner", f"{_PRECONDITIONED} {_FIXED}"),
    Row("sampling", "+ geometric sampling", f"{_PLAIN} {_GROWING}"),
    Row("both", "+ both", f"{_PRECONDITIONED} {_GROWING}"),
)


@dataclass(frozen=True)
class CorpusSettings:
    """A corpus of the table.

    Args:
        recipe: recipe of the corpus.
        clean: recipe of the corpus whose network realigns; another one where copies have the
            alignments of what they are copies of.
        overrides: overrides of every command.
        network: overrides of cross-entropy training.
        lattices: overrides of lattices, which the network of the first seed makes for all seeds;
            with the number of utterances that sMBR is trained on.
        iterations: number of HF iterations of each row.
        tests: sets whose word errors are added up.
    """

    recipe: str
    clean: str
    overrides: str
    network: str
    lattices: str
    iterations: Mapping[str, int]
    tests: tuple[str, ...]


# For a core, ten minutes a run or less.
_ITERATIONS = {"plain": 8, "preconditioner": 8, "sampling": 16, "both": 16}

# prompts5x and queen: the table; prompts5: the quick form.
CORPORA = {
    "prompts5x": CorpusSettings(
        recipe="prompts5x",
        clean="prompts5",
        overrides="decode.sets=[test_noisy,test] decode.beam=15 decode.lattice_beam=8",
        network="trainer.stopping.max_iterations=400",
        # 72 minutes of speech, spread over the 9 hours.
        lattices="lattices.utterances=900",
        iterations=_ITERATIONS,
        tests=("test_noisy", "test"),
    ),
    "queen": CorpusSettings(
        recipe="queen",
        clean="queen",
        overrides="decode.sets=[test] decode.beam=13 decode.lattice_beam=8",
        network="trainer.stopping.max_iterations=400",
        lattices="lattices.utterances=1200",
        iterations=_ITERATIONS,
        tests=("test",),
    ),
    "prompts5": CorpusSettings(
        recipe="prompts5",
        clean="prompts5",
        overrides="decode.sets=[test] decode.beam=15 decode.lattice_beam=8",
        network="trainer.stopping.max_iterations=150",
        lattices="lattices.utterances=300",
        iterations={"plain": 5, "preconditioner": 5, "sampling": 10, "both": 10},
        tests=("test",),
    ),
}
SEEDS = (0, 1, 2)
# Seed of the network that realigns.
LABEL_SEED = 0
