"""Train autoencoders of curves by Hessian-free optimisation and by tuned AdamW, in equal time.

    python -m benchmarks.curves [--seconds 60] [--nets relu sigmoid] [--out FILE]

Every run has one thread and the same processor time. AdamW's rate and decay are searched; ours run
as they are. Outcomes are added to FILE one by one, and runs that it has are not done again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.files import read_json, write_json
from benchmarks.curves.data import autoencoder, curves
from benchmarks.curves.runs import Outcome, adamw, hessian_free, stochastic
from benchmarks.machine import describe

_RATES = (3e-4, 1e-3, 3e-3, 1e-2)
_DECAYS = ("linear", "cosine")
_TRAIN, _TEST = 20_000, 5_000

Run = Callable[[nn.Module, Tensor, Tensor, float], Outcome]


def runs() -> Iterator[tuple[str, Run]]:
    """Yield every run with its name, ours first."""
    yield "StochasticHessianFree", stochastic
    yield "HessianFree", hessian_free
    yield "HessianFree, kfac", partial(hessian_free, preconditioner="kfac")
    for decay in _DECAYS:
        for rate in _RATES:
            yield f"AdamW {rate:g} {decay}", partial(adamw, rate=rate, decay=decay)


@with_exit_code
def main() -> None:
    """Do the runs that are not there yet, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="processor time of a run")
    parser.add_argument("--nets", nargs="+", default=["relu", "sigmoid"])
    parser.add_argument("--seeds", type=int, default=1, help="starts of each network")
    parser.add_argument("--only", default="", help="beginning of the names of the runs to do")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/curves.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, test = curves(_TRAIN, 0), curves(_TEST, 1)
    record = read_json(options.out) if options.out.exists() else {"runs": {}}
    record["machine"] = describe(torch.device("cpu"))
    for net in options.nets:
        for seed in range(options.seeds):
            for name, run in runs():
                key = f"{net}, {options.seconds:g} s, seed {seed}: {name}"
                if key in record["runs"] or not name.startswith(options.only):
                    continue
                outcome = run(autoencoder(net, seed), data, test, options.seconds)
                record["runs"][key] = asdict(outcome)
                write_json(options.out, record)
                print(f"{key}: {outcome}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
