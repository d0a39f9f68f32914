"""Writes NIST SPHERE files of mu-law samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_hf.runtime.files import atomic_path

_HEADER = 1024
_BIAS, _CLIP = 0x84, 32635


def mu_law(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Code 16-bit samples as mu-law bytes of the same shape (ITU-T G.711)."""
    magnitude = np.minimum(np.abs(samples.astype(np.int32)), _CLIP) + _BIAS
    # Position of the leading bit above the bias.
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    coded: NDArray[np.uint8] = (~(sign | exponent << 4 | mantissa) & 0xFF).astype(np.uint8)
    return coded


def write_sphere(path: Path, samples: NDArray[np.int16], rate: int) -> None:
    """Write a SPHERE file like those of Switchboard.

    Args:
        path: the file.
        samples: samples [frames, channels].
        rate: sampling rate in Hz.
    """
    frames, channels = samples.shape
    fields = {
        "sample_count": f"-i {frames}",
        "sample_n_bytes": "-i 1",
        "channel_count": f"-i {channels}",
        "sample_byte_format": "-s1 1",
        "sample_rate": f"-i {rate}",
        "sample_coding": "-s4 ulaw",
        "channels_interleaved": "-s4 TRUE",
        "sample_sig_bits": "-i 8",
    }
    lines = [f"NIST_1A\n{_HEADER:7d}\n", *(f"{k} {v}\n" for k, v in fields.items()), "end_head\n"]
    with atomic_path(path) as temporary:
        temporary.write_bytes(
            "".join(lines).encode("ascii").ljust(_HEADER) + mu_law(samples).tobytes()
        )
