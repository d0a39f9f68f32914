"""The commands of `asr-hf` that make the runs of the table."""

from __future__ import annotations

from pathlib import Path

from benchmarks.paper_table.settings import (
    COMMON,
    CROSS_ENTROPY,
    LABEL_SEED,
    LATTICES,
    SEQUENCE,
    CorpusSettings,
    Row,
)

ROOT = Path(__file__).resolve().parents[2]
# Keeps alignments and lattices of the table apart from others of a corpus.
TAG = "paper-table"
Command = list[str]


def name_of(corpus: CorpusSettings, what: str, seed: int) -> str:
    """Return the name of a run."""
    return f"paper-table/{corpus.recipe}-{what}-seed{seed}"


def folder_of(corpus: CorpusSettings, what: str, seed: int) -> Path:
    """Return the folder of a run."""
    return ROOT / "exp" / name_of(corpus, what, seed)


def label_commands(corpus: CorpusSettings) -> list[Command]:
    """List the commands that align a corpus with a network.

    That network is trained on the labels of the flat start, which sMBR would learn otherwise.

    Args:
        corpus: a corpus that is its own `clean`, or one made of another one's recordings.

    Returns:
        The verbs with their overrides.
    """
    if corpus.recipe != corpus.clean:
        return [["align", *_common(corpus, LABEL_SEED), f"alignment.tag={TAG}"]]
    words = _common(corpus, LABEL_SEED)
    network = folder_of(corpus, "labels", LABEL_SEED)
    name = name_of(corpus, "labels", LABEL_SEED)
    return [
        ["align", *words],
        ["train", *words, *CROSS_ENTROPY.split(), *corpus.network.split(), f"name={name}"],
        ["align", *words, f"alignment.from_run={network}", f"alignment.tag={TAG}"],
    ]


def start_commands(corpus: CorpusSettings, seed: int) -> list[Command]:
    """List the commands that make the cross-entropy network which sMBR starts from."""
    words = [*_labelled(corpus, seed), *CROSS_ENTROPY.split(), *corpus.network.split()]
    words.append(f"name={name_of(corpus, 'start', seed)}")
    return [["train", *words], ["decode", *words]]


def lattice_command(corpus: CorpusSettings, seed: int) -> Command:
    """Return the command that makes all lattices, with the network of this seed."""
    return ["lattices", *_labelled(corpus, seed), *_lattices(corpus, seed)]


def row_command(corpus: CorpusSettings, row: Row, seed: int, first: int) -> Command:
    """Return the command that trains a row.

    Args:
        corpus: the corpus.
        row: the row.
        seed: seed of its start and of its samples.
        first: seed of the network that made the lattices.
    """
    return [
        "train",
        *_labelled(corpus, seed),
        *SEQUENCE.split(),
        *row.overrides.split(),
        f"init_from={folder_of(corpus, 'start', seed)}",
        *_lattices(corpus, first),
        f"trainer.stopping.max_iterations={corpus.iterations[row.key]}",
        f"name={name_of(corpus, row.key, seed)}",
    ]


def decode_command(corpus: CorpusSettings, row: Row, seed: int, first: int, name: str) -> Command:
    """Return the command that decodes with a model of a row, which lies in the run `name`."""
    _, *words = row_command(corpus, row, seed, first)
    return ["decode", *words[:-1], f"name={name}"]


def _common(corpus: CorpusSettings, seed: int) -> list[str]:
    words = [*COMMON.split(), *corpus.overrides.split()]
    return [f"+recipe={corpus.recipe}", *words, f"runtime.seed={seed}"]


def _labelled(corpus: CorpusSettings, seed: int) -> list[str]:
    return [*_common(corpus, seed), f"alignment.tag={TAG}"]


def _lattices(corpus: CorpusSettings, seed: int) -> list[str]:
    source = f"lattices.from_run={folder_of(corpus, 'start', seed)}"
    return [source, f"lattices.tag={TAG}", *LATTICES.split(), *corpus.lattices.split()]
