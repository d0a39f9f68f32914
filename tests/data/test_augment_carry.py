"""Alignments carried over from clean recordings to copies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.data.augment.carry import FrameGrid
from asr_hf.data.augment.speed import change_speed
from asr_hf.data.fbank import FbankOptions, fbank
from asr_hf.runtime.errors import InputError

GRID = FrameGrid(25.0, 10.0)


def frames_of(samples: int) -> int:
    return 1 + (samples - 200) // 80


@given(st.integers(1, 500))
def test_at_speed_one_the_labels_are_those_of_the_clean_recording(frames):
    labels = np.random.default_rng(frames).integers(0, 433, frames).astype(np.int32)
    np.testing.assert_array_equal(GRID.carry(labels, frames, 1.0), labels)


@given(st.integers(200, 40000), st.sampled_from([0.8, 0.9, 1.0, 1.1, 1.25]))
def test_every_frame_has_the_label_of_its_time(samples, speed):
    """Labels that count frames: each copied frame is within half a frame of its place."""
    clean, copied = frames_of(samples), frames_of(int(np.ceil(samples / speed)))
    if copied < 1:
        return
    labels = GRID.carry(np.arange(clean), copied, speed)
    middles = speed * (10.0 * np.arange(copied) + 12.5)
    # The last window may end after the last clean one.
    wanted = np.minimum(middles, 10.0 * (clean - 1) + 12.5)
    assert np.abs(10.0 * labels + 12.5 - wanted).max() <= 5 + 12.5 * abs(speed - 1) + 1e-6
    assert (np.diff(labels) >= 0).all()


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.1])
def test_carried_labels_are_where_the_sound_is(speed):
    """Bursts of a tone, labelled by ear: by the energy of each recording's own filterbank."""
    random = np.random.default_rng(0)
    parts = [np.full(random.integers(1200, 3000), on) for on in [0, 1] * 12]
    gate = np.concatenate(parts).astype(float)
    samples = gate * 5000 * np.sin(2 * np.pi * 700 * np.arange(len(gate)) / 8000)
    samples += random.normal(0, 3, len(gate))

    def heard(wave: np.ndarray) -> np.ndarray:
        energy = fbank(torch.from_numpy(wave).float(), FbankOptions()).numpy().max(1)
        return (energy > (energy.max() + energy.min()) / 2).astype(np.int32)

    copy = heard(change_speed(samples, speed))
    carried = GRID.carry(heard(samples), len(copy), speed)
    # A border may lie on either side of the middle of a window: one frame at each of 23.
    assert (carried != copy).sum() <= 23 * (0 if speed == 1 else 1)


def test_a_copy_of_another_length_is_refused_with_both():
    with pytest.raises(InputError, match=r"80 frames at 1.1 times .* 100 aligned(.|\n)*about 91"):
        GRID.carry(np.zeros(100, np.int32), 80, 1.1)
