"""Makes alignments with a trained network, for studies that start from them."""

from __future__ import annotations

import logging
import subprocess
import sys

from asr_hf.runtime.errors import RunError
from benchmarks.study.runs import ROOT

log = logging.getLogger("asr_hf.benchmarks")

# Runs of `make study` whose networks make the alignments in place of the flat start. prompts5x has
# the alignments of its clean recordings.
NETWORK = "study-prompts5/best-seed0"
REALIGNED = {
    "prompts5": f"+recipe=prompts5 model.hidden_sizes=[256,256,256,256,256] "
    f"alignment.from_run=exp/{NETWORK} alignment.tag=realigned",
    "prompts5x": "+recipe=prompts5x alignment.tag=realigned",
}


def realign(recipe: str) -> None:
    """Make a corpus's alignments under the tag `realigned`, unless they exist.

    Raises:
        RunError: the command failed.
    """
    for name in ("prompts5", recipe) if recipe == "prompts5x" else (recipe,):
        command = ["align", *REALIGNED[name].split()]
        log.info("asr-hf %s", " ".join(command))
        code = subprocess.run([sys.executable, "-m", "asr_hf", *command], cwd=ROOT).returncode
        if code:
            raise RunError(
                f"asr-hf align of {name} failed with exit code {code}",
                expected=f"the network of exp/{NETWORK}, which make study trains",
            )
