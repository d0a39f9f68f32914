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

Training by Hessian-free optimisation spends nearly all its time in gradients and Gauss–Newton
products (products of the curvature matrix with a vector). This page says what these products cost
in asr-hf and in other libraries, and what a whole iteration costs. It is for readers who want to
judge or improve the speed. `make bench` makes it, and every figure is in
[`benchmarks/results/curvature.json`](../benchmarks/results/curvature.json).

![cost of a product in gradients](../benchmarks/results/curvature.svg)

## How is it measured?

- The cost of a product is counted in gradients on the same frames.
- The measurement goes in rounds. A round times each method once, in an order that turns. Before and
  after, it times the product's own matrix products (GEMMs) alone.
- A figure is the median over rounds of a ratio within a round. Its quartiles follow in brackets.
- A round is void if its GEMM rate falls more than 10 % below the run's median.
- Before anything is timed, all products are checked against torch.func's jvp and vjp in float64 to
  1e-10.
"""

_READING = """\
## How to read it

- **share of the GEMM rate** is the time of the GEMMs that a product cannot do without (four a
  layer, two for the first), over the time that the product takes. A method that does more of them
  has a lower share.
- **memory** is what is in use at the peak of making the method and two products, beyond the
  network, its inputs and the vector. It counts pages, and on a GPU bytes. Each method runs in a
  process of its own.
- **to make ready** is the time of the work that is done once a CG run. For the paths of asr-hf it
  includes the forward pass.
- **any-module path** is what runs for networks that are no plain DNN.
- **bar** is a figure that the project has set a bound for.
- **overhead** is what an iteration spends on anything but gradients, products and loss passes.
"""

_GPU_CHECK = """\
`make gpu-check` checks and times asr-hf on a machine with an NVIDIA GPU, in eight minutes. It does
these steps:

- It runs the tests in `tests/cuda`.
- It times products of both nets in TF32 and bf16, with CUDA graphs and without.
- It trains by Hessian-free optimisation and by AdamW, to one held-out loss.

Each step is a process with a bound on its time. If a step fails or is cut, the check records that
and goes on with the next step. It writes `gpu.json` after each.

```
make gpu-pack                                                   # here: build/gpu-data.tar.gz
make gpu-check GPU_PYTHON=python3 ARGS="--out out"              # there, with that file
cp out/gpu.json benchmarks/results                              # here again
make gpu-check ARGS=--page-only                                 # writes docs/gpu.md
```

The machine needs no network and no `make setup`. `GPU_PYTHON` is any Python that has torch for
CUDA, numpy, tqdm, pytest and pytest-timeout. Training also imports hydra-core, omegaconf, kaldiio,
soundfile, safetensors and tensorboard. A step that lacks one of them names it, and
fails alone.

| option | what it does |
| :-- | :-- |
| `--minutes`, `--steps`, `--target` | say how long, what, and to which loss |
| `--commit` | names the commit where there is no git |
| `--device cpu --quick` | tries the check itself |
"""


def document(results: dict[str, Any]) -> str:
    """Write the page docs/speed.md."""
    return "\n".join([_INTRODUCTION, _READING, tables(results), _GPU_CHECK])


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
        parts.append("No GPU was at hand.\n")
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
        f"The net has {net['parameters'] / 1e6:.1f} M parameters. Of the rounds, "
        f"{counts['valid']} count and {counts['void']} are void. The product's GEMMs ran at "
        f"{net['gemm_flops_per_second'] / 1e9:.0f} GFLOP/s, a square one at "
        f"{net['square_gemm_flops_per_second'] / 1e9:.0f}. By FLOPs alone a product costs "
        f"{net['flop_bound']:.2f} gradients.\n"
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
        f"L-BFGS with {lbfgs['pairs']} pairs takes "
        f"{duration(lbfgs['seconds']['compact']['median'])} in compact form, and "
        f"{duration(lbfgs['seconds']['two_loop']['median'])} by the two-loop recursion. The "
        f"compact form is {_spread(lbfgs['speedup'])} as fast.\n\n"
        f"One iteration has {whole['gradient']} gradient frames, {whole['curvature']} curvature "
        f"frames and {'/'.join(map(str, whole['cg_iterations']))} CG steps. It takes "
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
