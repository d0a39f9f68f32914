"""How a test walks each page: what shortens its commands, and what stands in for some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from ..pages import ROOT, as_clone
from ..toy_prompts import SENTENCES, tones, write_package

SLURM = Path(__file__).parent / "slurm"


@dataclass(frozen=True)
class Instead:
    """What stands in for a command that no test can run.

    Args:
        why: the reason.
        command: what runs in its place; None if nothing has to.
        onwards: whether the commands of asr-hf that it prints run too.
    """

    why: str
    command: str | None = None
    onwards: bool = False


@dataclass(frozen=True)
class Way:
    """How a page is walked.

    Args:
        shorter: overrides that are appended to the commands that have a verb or a setting.
        leaves: files that the page's commands have to leave, in the folder where they begin.
        after: the page whose folder it begins in; None for a clone with nothing made yet.
        instead: what stands in for commands of the page.
    """

    shorter: Mapping[str, Sequence[str]]
    leaves: Sequence[str]
    after: str | None = None
    instead: Mapping[str, Instead] = field(default_factory=dict)

    def more(self, words: Sequence[str]) -> list[str]:
        """What is appended to a command."""
        return [x for word, overrides in self.shorter.items() if word in words for x in overrides]


def begin(folder: Path) -> None:
    """Lay out a clone; beside it lie toy prompts in the place of the real ones, and a recording."""
    as_clone(folder)
    write_package(folder / "toy", transcripts=SENTENCES, sound=tones)
    samples = tones("ask one big key", 8000)
    soundfile.write(folder / "interview.mp3", samples, 8000)


_FLAT_START = [
    *("alignment.iterations=6", "alignment.gaussians=60", "alignment.jobs=1"),
    # Tones of letters are no phones.
    "alignment.max_skipped=0.3",
]
_NET = ["model.hidden_sizes=[16]", "runtime.threads=1", "runtime.device=cpu"]
_SEARCH = ["decode.beam=9.0", "decode.lattice_beam=5.0", "decode.jobs=1"]
_LATTICES = ["lattices.beam=9.0", "lattices.lattice_beam=4.0", "lattices.jobs=1"]
TOY = {
    "prepare": ["corpus.source=toy"],
    "features": ["features.jobs=1"],
    "align": _FLAT_START,
    "lattices": [*_FLAT_START, *_NET, *_LATTICES],
    "train": [*_FLAT_START, *_NET],
    "decode": [*_SEARCH, "decode.acoustic_scales=[0.1]", "decode.insertion_penalties=[0.0]"],
    "transcribe": _SEARCH,
    "+preset=kfac": ["trainer.horizon.epochs=1"],
    "+preset=kfac_cg": ["trainer.stopping.max_iterations=3"],
    "+stage=smbr": ["trainer.stopping.max_iterations=2"],
    "alignment=triphone": [
        *("alignment.tree.states=100", "alignment.tree.gaussians=150", "alignment.tree.passes=4"),
    ],
}
KALDI = {
    "train": ["model.hidden_sizes=[8]", "runtime.threads=1"],
    "decode": ["decode.jobs=1"],
}
# What is appended to the commands of the page about own recordings, on real ones.
OWN_ALIGNMENT = [
    *("alignment.iterations=10", "alignment.gaussians=300", "alignment.jobs=1"),
    *("alignment.max_utterances=150", "alignment.max_skipped=0.1"),
]
OWN_NET = ["model.hidden_sizes=[64,64]", "trainer.stopping.max_iterations=12", "runtime.threads=1"]
OWN = {
    # Small sets to decode.
    "prepare": ["corpus.held_out=0.04"],
    "features": ["features.jobs=1"],
    "align": OWN_ALIGNMENT,
    "train": [*OWN_ALIGNMENT, *OWN_NET],
    "decode": [
        *("decode.beam=10.0", "decode.lattice_beam=7.0"),
        *("decode.acoustic_scales=[0.1,0.2]", "decode.insertion_penalties=[0.0]"),
    ],
    "alignment=triphone": [
        *("alignment.tree.states=150", "alignment.tree.gaussians=400"),
        *("alignment.tree.passes=8", "alignment.tree.max_utterances=150"),
    ],
}


def target(name: str) -> str:
    """The commands of a target of the Makefile, printed."""
    return f"make --no-print-directory --dry-run -C {ROOT} {name}"


def _first(*names: str) -> list[str]:
    """What decoded runs leave."""
    files = ("result.json", "report.html", "decode/test/words.ctm")
    return [f"exp/{name}/{file}" for name in names for file in files]


_ACTIVATE = Instead("the tests run in that environment")
_WITHOUT_MAKE = (
    "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[numba,torchaudio]'"
)
_FIRST = "docs/tutorials/first-model.md"
WAYS = {
    "README.md": Way(
        TOY,
        leaves=_first("first", "demo"),
        after=_FIRST,
        instead={
            "make demo": Instead("it installs first", target("demo"), onwards=True),
            "make test": Instead("this is what runs now", target("test")),
            "make setup": Instead("it installs", target("setup")),
            "source .venv/bin/activate": _ACTIVATE,
            _WITHOUT_MAKE: Instead("it installs; make setup does the same in .ci/run"),
            "make race": Instead("hours", target("race")),
            "make docs": Instead("tests/site does it", target("docs")),
        },
    ),
    _FIRST: Way(TOY, leaves=_first("first"), instead={"source .venv/bin/activate": _ACTIVATE}),
    "docs/tutorials/own-recordings.md": Way(OWN, leaves=_first("first")),
    "docs/tutorials/from-kaldi.md": Way(
        KALDI,
        leaves=[
            *("s5/exp/first/decode/test/hyp.txt", "s5/exp/first/export/final.mdl"),
            *("s5/exp/first/export/test/loglikes.scp", "s5/exp/smbr/result.json"),
        ],
    ),
    "docs/tutorials/to-vosk.md": Way(
        TOY,
        leaves=[*_first("third"), "exp/third/export/vosk-en/am/final.mdl"],
        after=_FIRST,
        instead={"pip install vosk": Instead("it is installed with what the tests need")},
    ),
    "docs/tutorials/sequence-training.md": Way(TOY, leaves=_first("smbr"), after=_FIRST),
    "docs/tutorials/cluster.md": Way(TOY, leaves=_first("cluster"), after=_FIRST),
}
