"""Tell what adaptation has brought: words before and after, of the new corpus and the old one."""

from __future__ import annotations

from typing import Any

from asr_hf.report.html import write_report
from asr_hf.runtime.files import read_json, write_json
from asr_hf.settings.settings import Settings
from asr_hf.stages.adaptation.start import keeps_states
from asr_hf.stages.adaptation.words import row
from asr_hf.stages.decode import decode_sets
from asr_hf.stages.recognition.score_sources import network_scores


def run(settings: Settings, old: Settings) -> dict[str, Any]:
    """Decode with the network as it was and as it is, and enter the change in result.json.

    The adapted network has decoded the new sets already. Where it has the states of the old one,
    this decodes them with that, into <run_dir>/before, and the old corpus's sets with the adapted
    one, into <run_dir>/forgotten. Files that are current are kept.

    Args:
        settings: settings of the adapted run.
        old: settings of the run that was adapted, which has decoded the old sets.

    Returns:
        Under "rows" what `row` returns of each set, under "from" the old run's folder.

    Raises:
        InputError: see `decode_sets`.
    """
    decoded = settings.run_dir / "decode"
    if keeps_states(settings):
        before, forgotten = (settings.run_dir / name for name in ("before", "forgotten"))
        decode_sets(settings.changed("run_dir", str(before)), network_scores(settings, old.run_dir))
        rows = [
            row(settings, name, before / "decode" / name, decoded / name)
            for name in settings.decode.sets
        ]
        sets = settings.adapt.old_sets
        if sets:
            weights = read_json(old.run_dir / "decode" / "best.json")
            there = old.changed("run_dir", str(forgotten)).changed("decode.sets", list(sets))
            decode_sets(there, network_scores(old, settings.run_dir), weights)
        rows += [
            row(old, name, old.run_dir / "decode" / name, forgotten / "decode" / name)
            for name in sets
        ]
    else:
        rows = [row(settings, name, None, decoded / name) for name in settings.decode.sets]
    found = {"from": str(old.run_dir), "states": settings.adapt.states, "rows": rows}
    path = settings.run_dir / "result.json"
    write_json(path, read_json(path) | {"adaptation": found})
    write_report(settings.run_dir)
    return found
