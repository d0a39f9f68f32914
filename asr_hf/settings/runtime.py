"""Settings of the groups runtime, paths and lm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RuntimeSettings:
    """Settings of where and how a run computes.

    Attributes:
        device: device to compute on: auto, cpu, cuda or cuda:<index>.
        threads: number of threads of the CPU; None leaves the choice to torch.
        processes: number of processes on this machine that share the work.
        sharded: whether vectors of CG and its preconditioner are divided among the processes.
        timeout: time that a process waits for the others (seconds).
        seed: seed of initial weights, samples and shuffling.
        chunk_frames: largest number of frames that go through the network at once.
        memory: most memory of the process or on the GPU, as a size such as 4GB; None sets no limit.
        resident: features that stay on the device: auto, a size, or None for none.
        curvature_path: how Gauss-Newton products are computed: auto, r_operator, double_backward.
        cuda_graphs: whether products are recorded as CUDA graphs and replayed.
        keep_checkpoints: number of checkpoints kept beside the best.
        keep_models: whether the model of every iteration is kept.
        look_share: most work of looks at all held-out data beside that of training; None looks
            after every iteration.
        checkpoint_seconds: least time between two checkpoints (seconds).
    """

    device: str
    threads: int | None
    processes: int
    sharded: bool
    timeout: float
    seed: int
    chunk_frames: int
    memory: str | int | None
    resident: str | int | None
    curvature_path: str
    cuda_graphs: bool
    keep_checkpoints: int
    keep_models: bool
    look_share: float | None
    checkpoint_seconds: float


@dataclass(frozen=True, kw_only=True)
class PathSettings:
    """Folders, all absolute.

    Attributes:
        data: folder of prepared corpora.
        exp: folder of run folders.
        cache: folder of downloads.
    """

    data: Path
    exp: Path
    cache: Path


@dataclass(frozen=True, kw_only=True)
class LmSettings:
    """Settings of the language models that recipes make.

    Attributes:
        order: order of the n-gram models.
    """

    order: int
