"""Lists the commands of the study of sequence training, and runs those that are not done."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from asr_hf.models.dnn import DNN
from asr_hf.runtime.errors import RunError
from asr_hf.training.model_file import FILE_NAME, load_model, model_config, save_model

log = logging.getLogger("asr_hf.benchmarks")

ROOT = Path(__file__).resolve().parents[2]
# SGD with one utterance an update, as in Kaldi; and with eight, whose lattices cost little more.
SGD = {
    "sgd-smbr-1x0.003": "trainer.learning_rate=0.003",
    "sgd-smbr-8x0.01": "trainer.learning_rate=0.01 trainer.batch_frames=2048",
    "sgd-smbr-8x0.03": "trainer.learning_rate=0.03 trainer.batch_frames=2048",
    "sgd-smbr-8x0.1": "trainer.learning_rate=0.1 trainer.batch_frames=2048",
    "sgd-smbr-8x0.3": "trainer.learning_rate=0.3 trainer.batch_frames=2048",
    "sgd-smbr-8x1": "trainer.learning_rate=1 trainer.batch_frames=2048",
    "sgd-smbr-8x3": "trainer.learning_rate=3 trainer.batch_frames=2048",
}
# Factors of the cross-entropy model's logits: a control for gains by a change of scale alone.
FACTORS = (0.7, 1.4)


@dataclass(frozen=True)
class Study:
    """Corpus, net and length of a study.

    Args:
        recipe: recipe of the corpus.
        seeds: seeds; every method has one run with each, and the first chooses SGD's rate.
        overrides: overrides of every command.
        training: overrides of cross-entropy training.
        lattices: overrides of lattices, which the network of the first seed makes for all seeds.
        tests: sets whose word errors are reported; bounds are on the first.
        start: name without seed of the run in exp/ that cross-entropy training starts from; None
            starts from random weights.
    """

    recipe: str
    seeds: tuple[int, ...]
    overrides: str
    training: str
    lattices: str
    tests: tuple[str, ...]
    start: str | None = None

    def name(self, kind: str, seed: int) -> str:
        """Return the name of a run's folder in exp/."""
        return f"sequence-{self.recipe}/{kind}-seed{seed}"

    def folder(self, kind: str, seed: int) -> Path:
        """Return the run folder."""
        return ROOT / "exp" / self.name(kind, seed)

    def common(self, seed: int) -> list[str]:
        """List overrides of every command of a seed."""
        words = f"+recipe={self.recipe} {self.overrides} runtime.threads=1 runtime.device=cpu"
        return [*words.split(), f"runtime.seed={seed}"]

    def from_start(self, seed: int) -> list[str]:
        """List overrides of runs that start from the cross-entropy model and use its lattices."""
        source = f"lattices.from_run={self.folder('ce', self.seeds[0])}"
        return [f"init_from={self.folder('ce', seed)}", source, *self.lattices.split()]


NET = "model.hidden_sizes=[256,256,256,256,256]"
STUDIES = {
    "full": Study(
        "prompts5x",
        (0, 1, 2),
        f"{NET} alignment.tag=realigned decode.beam=15 decode.lattice_beam=8 "
        "decode.sets=[test_noisy,test]",
        "+preset=kfac_cg trainer.stopping.max_iterations=400",
        "lattices.tag=study lattices.utterances=4000 lattices.beam=13 lattices.lattice_beam=8",
        ("test_noisy", "test"),
    ),
    "clean": Study(
        "prompts5",
        (0, 1, 2),
        f"{NET} alignment.tag=realigned decode.sets=[test]",
        "+preset=kfac_cg",
        "lattices.tag=study",
        ("test",),
        "study-prompts5/best",
    ),
}
KINDS = {
    "hf-smbr": "+stage=smbr decode.choose=4",
    "hf-mmi": "+stage=mmi decode.choose=4",
    **{
        kind: f"+stage=smbr decode.choose=4 trainer=sgd_sequence {how}" for kind, how in SGD.items()
    },
    # Controls: cross-entropy with as many iterations of the same optimiser, and the logits of the
    # start times a factor.
    "ce-longer": "+stage=smbr decode.choose=4 criterion=cross_entropy",
    **{f"ce-times-{factor:g}": "" for factor in FACTORS},
}


def commands(study: Study, kind: str, seed: int) -> list[list[str]]:
    """List the verbs and overrides that make one run."""
    name = f"name={study.name(kind, seed)}"
    if kind == "ce":
        words = [*study.common(seed), *study.training.split(), name]
        if study.start is not None:
            words.append(f"init_from={ROOT}/exp/{study.start}-seed{seed}")
        verbs = [[verb, *words] for verb in ("train", "decode", "score")]
        if seed == study.seeds[0]:
            source = f"lattices.from_run={study.folder('ce', seed)}"
            verbs.append(["lattices", *study.common(seed), source, *study.lattices.split()])
        return verbs
    words = [*study.common(seed), *KINDS[kind].split(), *study.from_start(seed), name]
    if kind.startswith("ce-times-"):
        return [["decode", *words]]
    return [[verb, *words] for verb in ("train", "decode", "score")]


def do(study: Study, kind: str, seed: int) -> None:
    """Do the commands of a run that are not done; the log goes beside the run folder.

    Raises:
        RunError: a command failed.
    """
    folder = study.folder(kind, seed)
    mark = folder / "done"
    if mark.exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    log_file = folder.with_name(f"{folder.name}.log")
    if kind.startswith("ce-times-"):
        rescale(study.folder("ce", seed) / FILE_NAME, folder / FILE_NAME, float(kind.split("-")[2]))
    for command in commands(study, kind, seed):
        log.info("%s %s", command[0], study.name(kind, seed))
        with open(log_file, "ab") as log_to:
            code = subprocess.run(
                [sys.executable, "-m", "asr_hf", *command], cwd=ROOT, stdout=log_to, stderr=log_to
            ).returncode
        if code:
            raise RunError(
                f"asr-hf {command[0]} of {study.name(kind, seed)} failed with exit code {code}",
                remedy=f"see {log_file}; the same command goes on from here",
            )
    mark.touch()


def rescale(source: Path, target: Path, factor: float) -> None:
    """Write the model of `source` with its logits times a factor."""
    model, about = load_model(source)
    assert isinstance(model, DNN)
    last = model.linear_layers()[-1]
    with torch.no_grad():
        last.weight.mul_(factor)
        last.bias.mul_(factor)
    save_model(target, model, model_config(source), about)
