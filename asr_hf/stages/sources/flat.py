"""What `alignment.flat` asks for, checked."""

from __future__ import annotations

from asr_hf.hmm.chain.flat_system import FlatOptions
from asr_hf.hmm.tree.untied import FlatContext
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings


def flat_options(settings: Settings) -> FlatOptions:
    """Return the settings of a flat start of lattice-free MMI.

    Args:
        settings: settings of the command, with `alignment.flat`.

    Returns:
        Its settings.

    Raises:
        InputError: one is out of range, or others ask for an alignment, or for other states.
    """
    alignment = settings.alignment
    flat = alignment.flat
    assert flat is not None
    if alignment.chain is None:
        raise InputError(
            "alignment=none: states of lattice-free MMI alone need no alignment",
            expected="+stage=lfmmi beside it",
            remedy="give that, or another alignment",
        )
    others = {
        "from_run": alignment.from_run,
        "from_kaldi": alignment.from_kaldi,
        "from_ark": alignment.from_ark,
        "states_from": alignment.states_from,
        "tree": alignment.tree,
    }
    for key, value in others.items():
        if value is not None:
            raise InputError(
                f"alignment.{key} beside alignment.flat, which aligns nothing",
                expected="one of the two",
                remedy="alignment.flat=null, and to realign by a network of such states "
                "alignment.states_from=<corpus folder>/align-flat-chain3",
            )
    if flat.context not in list(FlatContext):
        raise InputError(
            f"alignment.flat.context={flat.context}",
            expected=f"one of {', '.join(FlatContext)}",
        )
    pauses = {"pause_between": flat.pause_between, "pause_at_ends": flat.pause_at_ends}
    for key, share in pauses.items():
        if not 0 <= share <= 1:
            raise InputError(f"alignment.flat.{key}={share}", expected="a probability, 0 to 1")
    return FlatOptions(
        FlatContext(flat.context), flat.least_count, flat.pause_between, flat.pause_at_ends
    )
