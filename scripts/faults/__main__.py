"""Inject faults into real trainings and check that none loses anything.

usage: python -m scripts.faults [--count 100] [--seed 0] [--only 3,17] [--keep FOLDER]
                               [--record FILE]

Fault n of a seed is always the same, as far as the timing of the machine allows. After each fault,
the same command must end in the same model as the undisturbed run. Or it must report clearly what
is wrong, and end in that model once this is mended. Otherwise the exit code is 1.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.faults.suite import inject, rows, table, undisturbed
from scripts.results import add_run


@contextmanager
def working_folder(kept: Path | None) -> Iterator[Path]:
    """Make a folder for all files; it is removed in the end unless `kept` names it."""
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="asr-hf-faults-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run the suite; return exit code 1 if something was lost."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=100, help="faults to inject")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="inject these faults alone, by comma")
    parser.add_argument("--keep", type=Path, help="keep every file in this new folder")
    parser.add_argument("--record", type=Path, help="add the figures to this JSON file")
    options = parser.parse_args()
    chosen = [int(number) for number in (options.only or "").split(",") if number]
    with working_folder(options.keep) as folder:
        reference = undisturbed(folder)
        reports = []
        for number in chosen or range(options.count):
            report = inject(folder / f"{number:04d}", number, options.seed, reference)
            reports.append(report)
            if report.lost or chosen:
                print("\n  ".join([report.title, *report.story]), flush=True)
            if options.keep is None:
                shutil.rmtree(folder / f"{number:04d}", ignore_errors=True)
    print(table(reports))
    if options.record is not None:
        add_run(options.record, {"seed": options.seed, "faults": rows(reports)})
    return int(any(report.lost for report in reports))


if __name__ == "__main__":
    raise SystemExit(main())
