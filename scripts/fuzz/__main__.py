"""Fuzz parsers of outside files for a given time each.

usage: python -m scripts.fuzz [--seconds 60] [--seed 0] [--parsers ark,scp] [--record FILE]

Each parser gets mutated copies of valid files, in a process with limits on memory and time. It must
return a value or raise an error that names the file. Files for which it does anything else are
written to tests/fuzz/cases/<parser>/, to be kept as tests when the bug is mended. The exit code is
then 1.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
import time
from pathlib import Path

from scripts.fuzz.parsers import Parser
from scripts.fuzz.registry import BY_NAME
from scripts.fuzz.worker import Finding, drawn, hunt, sample, write_case
from scripts.results import add_run

CASES = Path(__file__).resolve().parents[2] / "tests" / "fuzz" / "cases"
_HEAD = "| parser | cases | valid | bugs | seconds |\n| --- | --- | --- | --- | --- |"
# Further cases of a parser mostly show the same bugs.
_MAX_KEPT = 5
_LINES_SHOWN = 8


def keep(parser: Parser, folder: Path, seed: str, finding: Finding) -> Path:
    """Write the mutated file of a finding to the cases, and return its folder."""
    valid = sample(parser, folder)
    name, moves = drawn(valid, seed, finding.number)
    content = write_case(parser, folder, valid, name, moves)
    place = CASES / parser.name / hashlib.sha256(content).hexdigest()[:12] / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def fuzz(parser: Parser, seconds: float, seed: int) -> dict[str, str | int]:
    """Fuzz one parser; count its cases, those that it accepted, and its bugs."""
    findings: list[Finding] = []
    folder = Path(tempfile.mkdtemp(prefix="asr-hf-fuzz-"))
    start = time.monotonic()
    try:
        total, valid = hunt(parser, folder, f"{seed} {parser.name}", seconds, findings.append)
        for finding in findings[:_MAX_KEPT]:
            place = keep(parser, folder, f"{seed} {parser.name}", finding)
            said = finding.what.strip().splitlines()
            print(f"{place}:", *said[-_LINES_SHOWN:], sep="\n  ", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "parser": parser.name,
        "cases": total,
        "valid": valid,
        "bugs": len(findings),
        "seconds": round(time.monotonic() - start),
    }


def _line(row: dict[str, str | int]) -> str:
    return f"| {' | '.join(map(str, row.values()))} |"


def main() -> int:
    """Fuzz all parsers, or some; return exit code 1 if one has a bug."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each parser")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parsers", default=",".join(BY_NAME), help="some of them, by comma")
    parser.add_argument("--record", type=Path, help="add the figures to this JSON file")
    options = parser.parse_args()
    rows = []
    for name in options.parsers.split(","):
        rows.append(fuzz(BY_NAME[name], options.seconds, options.seed))
        print(_line(rows[-1]), flush=True)
    print("\n".join([_HEAD, *map(_line, rows)]))
    if options.record is not None:
        add_run(options.record, {"seed": options.seed, "parsers": rows})
    return int(any(row["bugs"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
