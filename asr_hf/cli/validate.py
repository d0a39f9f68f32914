"""Check Kaldi data directories and list every offender.

usage: asr-hf validate DIR [DIR ...] [--fix]

--fix sorts files, rebuilds spk2utt and drops utterances that are incomplete or have no usable
audio; the files as they were are kept in DIR/.backup.
"""

from __future__ import annotations

from asr_hf.data.validate import validate
from asr_hf.runtime.errors import InputError


def run(arguments: list[str]) -> None:
    """Print the problems of each directory; an error when there are any."""
    fix = "--fix" in arguments
    folders = [a for a in arguments if a != "--fix"]
    if not folders:
        raise InputError("validate needs a data directory", remedy="asr-hf validate DIR [--fix]")
    total = 0
    for folder in folders:
        problems = validate(folder, fix=fix)
        total += len(problems)
        for problem in problems:
            print(problem)
        print(f"{folder}: {len(problems)} problems" if problems else f"{folder}: valid")
    if total:
        raise InputError(
            f"{total} problems found", remedy="mend them, or asr-hf validate --fix DIR"
        )
