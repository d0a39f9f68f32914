"""The methods that the study compares, its data and its lengths."""

from __future__ import annotations

from dataclasses import dataclass, field

HF = "trainer.stopping.patience=0 trainer.stopping.max_iterations={iterations}"
# Samples that grow more slowly: by default they reach all data long before such runs end.
GROWTH = "sampling=geometric sampling.gradient_growth=1.1 sampling.curvature_growth=1.05"
# The baselines of 2012: rates halved when the held-out loss stalls, no weight decay.
NEWBOB = "schedule=newbob trainer.weight_decay=0"
NEWBOB += " trainer.horizon.epochs={epochs} trainer.evaluations_per_epoch=4"


@dataclass(frozen=True)
class Method:
    """A way to train.

    Args:
        key: part of its runs' names.
        label: label in tables and pictures.
        overrides: overrides of `asr-hf train`; {iterations} and {epochs} stand for the preset's.
        rates: learning rates to choose from by held-out loss; empty where there is none to tune.
    """

    key: str
    label: str
    overrides: str
    rates: tuple[float, ...] = ()


METHODS = (
    Method(
        "plain",
        "plain HF (2012)",
        f"solver=cg preconditioner=identity sampling=fixed {HF}",
    ),
    Method(
        "preconditioner",
        "+ L-BFGS preconditioner",
        f"solver=flexible_cg preconditioner=lbfgs sampling=fixed {HF}",
    ),
    Method(
        "sampling",
        "+ geometric sampling",
        f"solver=cg preconditioner=identity {GROWTH} {HF}",
    ),
    Method(
        "paper",
        "both: the paper (2013)",
        f"solver=flexible_cg preconditioner=lbfgs {GROWTH} {HF}",
    ),
    Method("best", "best HF (+preset=kfac_cg)", "+preset=kfac_cg"),
    Method(
        "sgd",
        "SGD, momentum, halving",
        f"trainer=sgd trainer.nesterov=false trainer.batch_frames=256 {NEWBOB}",
        (0.05, 0.1, 0.2, 0.4),
    ),
    # AdamW without weight decay is Adam.
    Method(
        "adam", "Adam, halving", f"trainer=adamw {NEWBOB}", (0.0005, 0.001, 0.002, 0.004, 0.008)
    ),
)


@dataclass(frozen=True)
class Preset:
    """Data, net and length of a study.

    Args:
        recipe: recipe of the corpus.
        overrides: overrides of every run, with those of the net.
        seeds: seeds; every method has one run with each, and the first searches grids of rates.
        iterations: largest number of outer iterations of HF methods that do not stop by themselves.
        epochs: largest number of epochs of SGD and Adam.
        tests: sets whose word errors are reported.
        extra: further overrides by method.
        rates: grids of learning rates in place of the methods' own.
    """

    recipe: str
    overrides: str
    seeds: tuple[int, ...]
    iterations: dict[str, int]
    epochs: int
    tests: tuple[str, ...]
    extra: dict[str, str]
    rates: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def grid(self, method: Method) -> tuple[float, ...]:
        """Return the learning rates from which that of a method is chosen."""
        return self.rates.get(method.key, method.rates)


PRESETS = {
    "full": Preset(
        "prompts5",
        "model.hidden_sizes=[256,256,256,256,256]",
        (0, 1, 2),
        {"plain": 12, "preconditioner": 12, "sampling": 26, "paper": 26},
        16,
        ("test",),
        {},
    ),
    "augmented": Preset(
        "prompts5x",
        "model.hidden_sizes=[256,256,256,256,256]",
        (0,),
        {"plain": 6, "preconditioner": 6, "sampling": 24, "paper": 24},
        6,
        ("test", "test_noisy"),
        {},
        # About those that were best on the clean recordings.
        {"sgd": (0.1,), "adam": (0.002, 0.004, 0.008)},
    ),
    "fast": Preset(
        "prompts",
        "model.hidden_sizes=[64,64,64,64,64]",
        (0,),
        {"plain": 8, "preconditioner": 8, "sampling": 16, "paper": 16},
        4,
        ("test",),
        {"best": "trainer.stopping.max_iterations=40"},
    ),
}
