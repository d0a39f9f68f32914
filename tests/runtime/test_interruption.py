"""Signals inside and outside of training."""

from __future__ import annotations

import signal

import pytest

from asr_hf.runtime.interruption import SIGNALS, Interrupted, Interruption


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_outside_of_training_ends_at_once(number):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=signal.Signals(number).name), Interruption():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_in_training_the_first_signal_waits_and_the_second_does_not():
    with Interruption() as interruption:
        with pytest.raises(Interrupted), interruption.deferred():
            signal.raise_signal(signal.SIGUSR1)
            assert interruption.noted == "SIGUSR1"
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)
