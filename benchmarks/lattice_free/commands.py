"""The commands of `asr-hf` that make the runs of the table."""

from __future__ import annotations

from pathlib import Path

from benchmarks.lattice_free.settings import COMMON, CorpusSettings

ROOT = Path(__file__).resolve().parents[2]
Command = list[str]
CRITERIA = ("cross_entropy", "smbr", "lfmmi", "flat")
CROSS_ENTROPY, SMBR, LATTICE_FREE, FLAT = CRITERIA


def name_of(corpus: CorpusSettings, criterion: str, seed: int) -> str:
    """Return the name of a run."""
    return f"lattice-free/{corpus.recipe}-{criterion}-seed{seed}"


def folder_of(corpus: CorpusSettings, criterion: str, seed: int) -> Path:
    """Return the folder of a run."""
    return ROOT / "exp" / name_of(corpus, criterion, seed)


def align_commands(corpus: CorpusSettings) -> list[Command]:
    """List the commands that make what lattice-free MMI is trained on."""
    return [["align", f"+recipe={corpus.recipe}", "+stage=lfmmi"]]


def commands(corpus: CorpusSettings, criterion: str, seed: int) -> list[Command]:
    """List the commands that train and decode by a criterion.

    sMBR starts from the cross-entropy run of its seed, on lattices of the first seed's. LF-MMI has
    a quarter of its time for a start of its own, by cross-entropy on its states. The flat start has
    transcripts alone, and all the time.

    Args:
        corpus: the corpus.
        criterion: one of `CRITERIA`.
        seed: seed of weights and samples.

    Returns:
        The verbs with their overrides.
    """
    shared = [f"+recipe={corpus.recipe}", *COMMON.split(), f"runtime.seed={seed}"]
    network, name = corpus.network.split(), f"name={name_of(corpus, criterion, seed)}"
    horizon = f"trainer.horizon.seconds={corpus.seconds}"
    sets = f"decode.sets=[dev,{','.join(corpus.tests)}]"
    if criterion == CROSS_ENTROPY:
        own = corpus.cross_entropy.split()
        words = [*shared, *network, *own, "+preset=kfac", horizon, sets, name]
        return _run(words)
    if criterion == LATTICE_FREE:
        states = [*shared, "+stage=lfmmi", *network, *corpus.lattice_free.split(), sets]
        start = f"{name}-start"
        quick = f"trainer.horizon.seconds={corpus.seconds // 4}"
        first = [*states, "criterion=cross_entropy", "+preset=kfac", quick, start]
        from_start = f"init_from={folder_of(corpus, criterion, seed)}-start"
        rest = f"trainer.horizon.seconds={corpus.seconds - corpus.seconds // 4}"
        return [["train", *first], *_run([*states, from_start, rest, name])]
    if criterion == FLAT:
        flat = ["+stage=lfmmi", "alignment=none", "criterion.cross_entropy=0"]
        words = [*shared, *flat, *network, *corpus.lattice_free.split(), sets, name]
        first, *others = _run(words)
        return [["align", *words], [*first, horizon], *others]
    before = folder_of(corpus, CROSS_ENTROPY, seed)
    words = [*shared, "+stage=smbr", f"init_from={before}", sets, name, "lattices.tag=lattice-free"]
    words.append(f"lattices.from_run={folder_of(corpus, CROSS_ENTROPY, 0)}")
    lattices = [["lattices", *words]] if seed == 0 else []
    return [*lattices, *_run(words)]


def _run(words: Command) -> list[Command]:
    return [[verb, *words] for verb in ("train", "decode", "score")]
