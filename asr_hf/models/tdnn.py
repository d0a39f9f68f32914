"""The time-delay network (Waibel et al. 1989), as by Peddinti, Povey & Khudanpur (2015)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr_hf.data.frame_batch import FrameBatch
from asr_hf.models.description import Description, shifted
from asr_hf.models.feed_forward import FeedForward
from asr_hf.models.normalisation import batch_layers
from asr_hf.models.timeline import frames_at, has_every, padded_utterances
from asr_hf.runtime.errors import InputError


@dataclass(frozen=True)
class TDNNInputs:
    """Frames whose logits are computed, with all the context that they need.

    Args:
        features: features [T, D]. Either utterances one behind the other, each with its first frame
            repeated `left` times before it and its last `right` times after it; or, if `windows`
            is not 0, what single frames need of their windows, one time after the other.
        rows: places of the frames among the outputs [F]; None if they are all of them. A window
            across the border of two utterances is computed and thrown away.
        windows: number of single frames; 0 for utterances.
        draws: random numbers of each hidden layer's rows, from the input up; none without dropout.
    """

    features: Tensor
    rows: Tensor | None
    windows: int
    draws: tuple[Tensor, ...] = ()


class TDNN(FeedForward):
    """Dilated convolutions over time, linear outputs.

    Each hidden layer sees the layer below at a few times relative to its own. Over whole
    utterances neighbouring frames share what their windows have in common; a single frame only
    takes the times that it needs (subsampling, Peddinti et al. 2015, section 3.2).

    Dropout gives a row of a hidden layer the mask of the frame at its time, that of an edge frame
    before the first and after the last: the same mask whichever output it is computed for, in
    whole utterances and for single frames alike.

    Args:
        feature_dim: number of features of one frame.
        num_pdfs: number of outputs.
        context: times that each hidden layer sees of the one below, rising, from the input up.
        hidden_sizes: number of units of each hidden layer, or one number for all.
        activation: sigmoid, relu or tanh.
        normalisation: none, rms, layer or batch: what follows each activation (see
            `Normalisation`).
        dropout: share of each hidden layer's outputs that training drops (see `Dropout`).
        subsampling: k, where every k-th frame is emitted in decoding and over lattices.
        initialisation: glorot, he or sparse (see `models/initialisation.py`).
        seed: seed of the initial weights.

    Raises:
        InputError: context and sizes do not fit, or a setting is unknown.
    """

    def __init__(
        self,
        *,
        feature_dim: int,
        num_pdfs: int,
        context: Sequence[Sequence[int]],
        hidden_sizes: Sequence[int],
        activation: str = "sigmoid",
        normalisation: str = "none",
        dropout: float = 0.0,
        subsampling: int = 1,
        initialisation: str = "glorot",
        seed: int = 0,
    ) -> None:
        layers = checked_context(context)
        sizes = list(hidden_sizes) * (len(layers) if len(hidden_sizes) == 1 else 1)
        if len(sizes) != len(layers):
            raise InputError(
                f"model.hidden_sizes={sizes}: {len(layers)} layers have a model.context",
                expected=f"{len(layers)} sizes, or one for all layers",
            )
        fan_ins = [
            len(times) * size for times, size in zip(layers, [feature_dim, *sizes], strict=False)
        ]
        super().__init__(
            feature_dim=feature_dim,
            num_pdfs=num_pdfs,
            left=-sum(times[0] for times in layers),
            right=sum(times[-1] for times in layers),
            fan_ins=[*fan_ins, sizes[-1]],
            hidden_sizes=sizes,
            input_dim=feature_dim,
            activation=activation,
            normalisation=normalisation,
            dropout=dropout,
            subsampling=subsampling,
            initialisation=initialisation,
            seed=seed,
        )
        self.context = layers
        self._times, self._taps = _subsampled(layers)

    def inputs(self, batch: FrameBatch, index: Tensor | None = None) -> TDNNInputs:
        """Return the padded utterances of `batch`, or what the frames at `index` [F] need."""
        # Every k-th frame of whole utterances: their windows have most in common.
        every = self.subsampling
        if index is None or (every > 1 and has_every(batch, index, every)):
            picked, rows = padded_utterances(batch, self.left, self.right)
            features = batch.rows(picked, self.flat.dtype)
            rows = rows if index is None else rows[index]
            return TDNNInputs(features, rows, 0, self._draws(batch, self._rows_above(picked)))
        below, *above = self._times
        features = batch.rows(frames_at(batch, index, below), self.flat.dtype)
        frames = (frames_at(batch, index, times) for times in above)
        return TDNNInputs(features, None, len(index), self._draws(batch, frames))

    def _draws(self, batch: FrameBatch, frames: Iterable[Tensor]) -> tuple[Tensor, ...]:
        """Return random numbers of each hidden layer's rows, given the frames at their times."""
        if batch.draws is None or not self.dropout:
            return ()
        return tuple(batch.draws.at(numbers, depth) for depth, numbers in enumerate(frames))

    def _rows_above(self, picked: Tensor) -> Iterator[Tensor]:
        """Yield the frame at the time of each row of the hidden layers, given those below [T]."""
        for times in self.context:
            picked = picked[-times[0] :][: len(picked) - (times[-1] - times[0])]
            yield picked

    def describe(self) -> Description:
        """See `AcousticModel`."""
        return Description((0,), self.described_layers([*map(tuple, self.context), (0,)]))

    def forward(self, inputs: TDNNInputs) -> Tensor:
        """Return logits [F, pdfs] of the frames that the inputs were made for."""
        activations = self.normalise(inputs.features)
        used = self._used_rows(inputs)
        for depth, (times, taps) in enumerate(zip(self.context, self._taps, strict=True)):
            if inputs.windows:
                below = tapped(activations, taps, inputs.windows)
            else:
                below = shifted(activations, times)
            draws = inputs.draws[depth] if inputs.draws else None
            activations = self.hidden_outputs(depth, below, used[depth], draws)
        if inputs.rows is not None:
            activations = activations.index_select(0, inputs.rows)
        logits: Tensor = self.layers[-1](activations)
        return logits

    def _used_rows(self, inputs: TDNNInputs) -> list[Tensor | None]:
        """Say of each hidden layer's rows whether they are used, where statistics ask for it."""
        used: list[Tensor | None] = [None] * len(self.context)
        if inputs.rows is None or not batch_layers(self):
            return used
        length = len(inputs.features) - self.left - self.right
        rows = torch.zeros(length, dtype=torch.bool, device=inputs.features.device)
        rows[inputs.rows] = True
        for depth in range(len(self.context) - 1, 0, -1):
            used[depth] = rows
            times = self.context[depth]
            below = rows.new_zeros(len(rows) + times[-1] - times[0])
            for time in times:
                below[time - times[0] :][: len(rows)] |= rows
            rows = below
        used[0] = rows
        return used


def tapped(rows: Tensor, taps: Tensor, windows: int) -> Tensor:
    """Put the rows of interleaved windows side by side that each output takes.

    Args:
        rows: rows at S times of each window [S * windows, C].
        taps: numbers of the times that each output takes [K, taps].
        windows: number of windows.

    Returns:
        Rows [K * windows, taps * C].
    """
    picked = rows.view(-1, windows, rows.shape[1])[taps]
    return picked.transpose(1, 2).reshape(len(taps) * windows, -1)


def _subsampled(context: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[Tensor]]:
    """Return the times that one frame needs of each layer, and the rows taken of those below.

    The times begin with those of the input, the rows are those of each hidden layer.
    """
    needed, taps = [[0]], []
    for times in reversed(context):
        outputs = needed[-1]
        below = sorted({at + t for at in outputs for t in times})
        taps.append(torch.tensor([[below.index(at + t) for t in times] for at in outputs]))
        needed.append(below)
    return needed[::-1], taps[::-1]


def checked_context(context: Sequence[Sequence[int]]) -> list[list[int]]:
    """Check the times that layers see.

    Args:
        context: times of each layer relative to its own, from the input up.

    Returns:
        The times as whole numbers.

    Raises:
        InputError: there is no layer, or times do not rise from 0 or below to 0 or above.
    """
    layers = [[int(time) for time in times] for times in context]
    for times in layers:
        if not times or sorted(set(times)) != times or times[0] > 0 or times[-1] < 0:
            raise InputError(
                f"model.context: a layer's times are {times}",
                expected="rising whole numbers from 0 or below to 0 or above, e.g. [-3, 3]",
            )
    if not layers:
        raise InputError("model.context: no layers", expected="a list of times for each layer")
    return layers
