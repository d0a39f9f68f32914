"""Writes the results as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.bars import Bar, cpu_bars, gpu_bars, percent, times

NO_GPU = "none was at hand"

LABELS = {
    "gradient": "gradient (autograd)",
    "r_operator": "**asr-hf, DNN path** (R-operator)",
    "double_backward": "**asr-hf, any module** (kept double backward)",
    "linearize": "torch.func.linearize, kept vjp",
    "jvp_vjp": "torch.func jvp + vjp",
    "curvlinops": "curvlinops",
    "backpack": "BackPACK",
}

_INTRODUCTION = """\
# How fast are the products?

Written by `make bench`; every figure is in
[`benchmarks/results/curvature.json`](../benchmarks/results/curvature.json).

Training spends nearly all its time in gradients and Gauss–Newton products, so their cost is
counted in gradients on the same frames. Everything is timed in rounds: each method once a round, in
an order that turns, between two readings of the product's own GEMMs done bare. A figure is the
median over rounds of a ratio within a round, in brackets its quartiles. A round whose GEMM rate
falls more than 10 % below the run's median is void. Before anything is timed, all products are
checked against torch.func's jvp and vjp in float64 to 1e-10.

![cost of a product in gradients](../benchmarks/results/curvature.svg)
"""

_GPU_CHECK = """\
`make gpu-check` checks and times asr-hf on a machine with an NVIDIA GPU, in eight minutes: the
tests in `tests/cuda`, products of both nets in TF32 and bf16, with CUDA graphs and without, and
training by Hessian-free and by AdamW to one held-out loss. Each step is a process with a bound on
its time. What fails or is cut is recorded, the next step follows, and `gpu.json` is written after
each.

```
make gpu-pack                                                   # here: build/gpu-data.tar.gz
make gpu-check GPU_PYTHON=python3 ARGS="--out out"              # there, with that file
cp out/gpu.json benchmarks/results                              # here again
make gpu-check ARGS=--page-only                                 # writes docs/gpu.md
```

The machine needs no network and no `make setup`: `GPU_PYTHON` is any Python that has torch for
CUDA, numpy, tqdm, pytest and pytest-timeout. Training imports hydra-core, omegaconf, kaldiio,
soundfile, safetensors and tensorboard too; a step that lacks one names it and fails
alone. `--minutes`, `--steps` and `--target` say how long, what, and to which loss; `--commit` names
the commit where there is no git; `--device cpu --quick` tries the check itself.
"""

_READING = """\
## How to read it

- **share of the GEMM rate**: the time of the GEMMs that a product cannot do without (four a layer,
  two for the first), over the time it takes. A method that does more of them has a lower share.
- **memory**: pages (on a GPU, bytes) at the peak of making the method and two products, beyond the
  network, its inputs and the vector; each in a process of its own.
- **to make ready**: done once a CG run; for the paths of asr-hf it holds the forward pass.
- **any-module path**: what runs for networks that are no plain DNN.
- **overhead**: what an iteration spends on anything but gradients, products and loss passes.
"""


def document(results: dict[str, Any]) -> str:
    """Write the page docs/speed.md."""
    return "\n".join([_INTRODUCTION, tables(results), _GPU_CHECK, _READING])


def tables(results: dict[str, Any]) -> str:
    """Write the figures, the machine, and the bounds of the figures."""
    parts = []
    if "nets" in results:
        parts.append("## CPU\n\n" + _machine(results["machine"]))
        for name, net in results["nets"].items():
            parts.append(_net(f"Net {name}", net))
            parts.append(_vectors(net))
            parts.append(_bars(cpu_bars(net)))
    parts.append("## GPU\n")
    if results["gpu"] == NO_GPU:
        parts.append("None was at hand.\n")
        return "\n".join(parts)
    parts.append(_machine(results["gpu"]["machine"]))
    for name, precisions in results["gpu"]["nets"].items():
        for precision, net in precisions.items():
            parts.append(_net(f"Net {name}, {precision}", net))
            if precision != "fp32":
                parts.append(_bars(gpu_bars(net)))
    return "\n".join(parts)


def _machine(machine: dict[str, Any]) -> str:
    named = [f"{machine['gpu']};"] if machine["gpu"] else []
    named += [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads;",
        f"torch {machine['torch']}, {machine['blas']};",
        ", ".join(f"{name} {version}" for name, version in machine["peers"].items()) + ".",
    ]
    return " ".join(named) + "\n"


def _net(title: str, net: dict[str, Any]) -> str:
    counts = net["rounds"]
    head = (
        f"### {title}: {net['layers']}, {net['frames']} frames\n\n"
        f"{net['parameters'] / 1e6:.1f} M parameters; {counts['valid']} rounds, {counts['void']} "
        f"void; the product's GEMMs ran at {net['gemm_flops_per_second'] / 1e9:.0f} GFLOP/s, a "
        f"square one at {net['square_gemm_flops_per_second'] / 1e9:.0f}. By FLOPs alone a product "
        f"costs {net['flop_bound']:.2f} gradients.\n"
    )
    rows = [
        (
            label,
            _spread(net["methods"][name]["ratio_to_gradient"]),
            percent(net["methods"][name]["gemm_fraction"]["median"]),
            duration(net["methods"][name]["seconds"]["median"]),
            "–" if name == "gradient" else duration(net["methods"][name]["setup_seconds"]),
            f"{net['methods'][name]['peak_bytes'] / 1e6:.0f} MB",
        )
        for name, label in LABELS.items()
        if name in net["methods"]
    ]
    titles = ("method", "gradients", "share of GEMM rate", "time", "to make ready", "memory")
    return head + "\n" + table(titles, rows)


def _vectors(net: dict[str, Any]) -> str:
    """Describe L-BFGS and the whole iteration in words."""
    lbfgs, whole = net["lbfgs"], net["iteration"]
    seconds = {name: spread["median"] for name, spread in whole["seconds"].items()}
    passes = [
        ("products", "products"),
        ("curvature_setup", "making the curvature"),
        ("gradient", "gradient"),
        ("loss", "loss passes"),
        ("rest", "everything else"),
    ]
    shares = ", ".join(f"{text} {percent(seconds[k] / seconds['whole'])}" for k, text in passes)
    return (
        f"L-BFGS with {lbfgs['pairs']} pairs: {duration(lbfgs['seconds']['compact']['median'])} in "
        f"compact form, {duration(lbfgs['seconds']['two_loop']['median'])} by the two-loop "
        f"recursion; the compact form is {_spread(lbfgs['speedup'])} as fast.\n\n"
        f"One iteration ({whole['gradient']} gradient frames, {whole['curvature']} curvature "
        f"frames, CG {'/'.join(map(str, whole['cg_iterations']))}): "
        f"{duration(seconds['whole'])}: {shares}.\n"
    )


def _bars(bars: Sequence[Bar]) -> str:
    rows = [
        (
            bar.what,
            bar.text(bar.value),
            ("≥ " if bar.least else "≤ ") + bar.text(bar.bound),
            "yes" if bar.met else "**no**",
        )
        for bar in bars
    ]
    return table(("bar", "measured", "bound", "met"), rows)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Make a Markdown table with the first column aligned left, the others right."""
    lines = [titles, [":--", *["--:"] * (len(titles) - 1)], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _spread(spread: dict[str, float]) -> str:
    return f"{times(spread['median'])} ({spread['q1']:.2f}–{spread['q3']:.2f})"


def duration(value: float) -> str:
    """Format seconds, for example 1.28 s or 35.2 ms."""
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.3g} ms"
