"""Settings of the recipe itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asr_hf.settings.maker import ONE_OR_MORE


@dataclass(frozen=True, kw_only=True)
class SubsetSettings:
    """Settings of a part of the training data.

    Attributes:
        first: number of utterances after the dev set that are taken; None takes all.
        copies: number of copies of each transcript that are kept; None keeps all.
    """

    first: int | None
    copies: int | None


@dataclass(frozen=True, kw_only=True)
class SwitchboardSettings:
    """Settings of the corpus Switchboard.

    Attributes:
        swbd: folders of LDC97S62.
        msu: folders of Mississippi State's transcripts and lexicon.
        eval2000: folders of LDC2002S09.
        hub5_refs: folders of LDC2002T43.
        rt03: folders of LDC2007S10.
        fisher: folders of LDC2004T19 and LDC2005T19.
        conv_tab: file of the callers of each conversation; None makes each side a speaker.
        lexicon_patch: file of corrections to the dictionary.
        compat: rules of tokens and acronyms: correct or kaldi.
        subset: part of the training data that is trained on, a key of `subsets`.
        subsets: parts of the training data by name.
        dev_utterances: largest number of utterances of the dev set.
        lm_held_out: largest number of utterances that the language model is not made from.
    """

    swbd: tuple[str, ...] | None = field(metadata=ONE_OR_MORE)
    msu: tuple[str, ...] | None = field(metadata=ONE_OR_MORE)
    eval2000: tuple[str, ...] | None = field(metadata=ONE_OR_MORE)
    hub5_refs: tuple[str, ...] | None = field(metadata=ONE_OR_MORE)
    rt03: tuple[str, ...] | None = field(metadata=ONE_OR_MORE)
    fisher: tuple[str, ...] | None = field(metadata=ONE_OR_MORE)
    conv_tab: Path | None
    lexicon_patch: Path | None
    compat: str
    subset: str
    subsets: Mapping[str, SubsetSettings]
    dev_utterances: int
    lm_held_out: int
