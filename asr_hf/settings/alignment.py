"""Settings of the group alignment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from asr_hf.settings.maker import ONE_OR_MORE


@dataclass(frozen=True, kw_only=True)
class TreeSettings:
    """Settings of tied states of phones in context.

    Attributes:
        states: largest number of tied states.
        gaussians: number of Gaussians at the end, over all states.
        passes: number of passes of Viterbi training.
        max_utterances: largest number of utterances that tree and mixtures are trained on; None
            takes all.
    """

    states: int
    gaussians: int
    passes: int
    max_utterances: int | None


@dataclass(frozen=True, kw_only=True)
class ChainSettings:
    """Settings of the states and graphs of lattice-free MMI.

    Attributes:
        states: largest number of tied states.
        lm_order: order of the phone language model.
        lm_states: largest number of its states for histories longer than two phones.
        tolerance: time by which phones may begin earlier or end later than they are aligned (ms).
        piece: about how long the pieces are that training utterances are cut into (ms); None
            leaves them whole.
    """

    states: int
    lm_order: int
    lm_states: int
    tolerance: float
    piece: float | None


@dataclass(frozen=True, kw_only=True)
class FlatSettings:
    """Settings of lattice-free MMI from transcripts alone.

    Attributes:
        context: what the pdfs of a phone depend on: mono or left.
        least_count: with left, how often a phone must follow another one to have pdfs of its own
            there.
        pause_between: probability of a pause between two words.
        pause_at_ends: probability of one before the first word, and of one behind the last.
    """

    context: str
    least_count: float
    pause_between: float
    pause_at_ends: float


@dataclass(frozen=True, kw_only=True)
class AlignmentSettings:
    """Settings of the flat start and of forced alignment.

    Attributes:
        iterations: number of passes of Viterbi training.
        gaussians: number of Gaussians at the end, over all pdfs.
        seed: seed of the perturbations of split Gaussians.
        max_utterances: largest number of utterances that the flat start is trained on; None takes
            all.
        acoustic_scale: scale of acoustic scores in forced alignment.
        beam: beam of the alignment.
        retry_beam: beam of its second try.
        jobs: number of processes.
        max_skipped: largest share of utterances that may be skipped.
        tree: settings of tied states; None keeps monophones.
        chain: settings of lattice-free MMI; None makes nothing for it.
        flat: settings of lattice-free MMI without an alignment; None aligns.
        system: folder of the HMM system and its graphs, in that of the corpus.
        from_kaldi: folders of Kaldi's alignments, which take the place of the flat start.
        from_ark: archive of pdf alignments, which takes the place of the flat start.
        num_pdfs: number of pdfs of those alignments.
        from_run: run folder whose network realigns the corpus.
        states_from: folder of another corpus's HMM system, which takes the place of the flat start.
        tag: what keeps alignments and stores apart from others of the corpus.
    """

    iterations: int
    gaussians: int
    seed: int
    max_utterances: int | None
    acoustic_scale: float
    beam: float
    retry_beam: float
    jobs: int
    max_skipped: float
    tree: TreeSettings | None
    chain: ChainSettings | None = None
    flat: FlatSettings | None = None
    system: str
    from_kaldi: tuple[Path, ...] | None = field(default=None, metadata=ONE_OR_MORE)
    from_ark: Path | None
    num_pdfs: int | None
    from_run: Path | None
    states_from: Path | None = None
    tag: str | None
