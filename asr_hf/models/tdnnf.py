"""The factorised time-delay network (Povey et al. 2018), as Kaldi's recipes have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from asr_hf.curvature.semi_orthogonal import SemiOrthogonal
from asr_hf.data.frame_batch import FrameBatch
from asr_hf.data.frame_draws import key_of
from asr_hf.models.description import Bottleneck, Description
from asr_hf.models.feed_forward import MAX_FRAMES, FeedForward
from asr_hf.models.initialisation import orthonormal_maps
from asr_hf.models.normalisation import batch_layers
from asr_hf.models.tdnn import checked_context
from asr_hf.models.timeline import Span, beside, frames_at, padded_utterances, steps_of
from asr_hf.runtime.errors import InputError

_CONTEXT = (-1, 0, 1)
# What keeps the draws of the bottlenecks apart from those of the layers.
_BOTTLENECKS = 1


@dataclass(frozen=True)
class TDNNFInputs:
    """Frames whose logits are computed, with all the context that they need.

    Args:
        features: features at the S times of the first span, one time after the other
            [S * windows, D].
        spans: times of the input, and of the rows of each map up to the last hidden layer.
        windows: number of single frames, whose windows stand side by side at each time; 1 where the
            times run through padded utterances that lie one behind the other.
        rows: places of the frames among the rows of the last span [F]; None if they are all of
            them. A window across the border of two utterances is computed and thrown away.
        draws: random numbers of each hidden layer's rows, from the input up; none without dropout.
    """

    features: Tensor
    spans: tuple[Span, ...]
    windows: int
    rows: Tensor | None
    draws: tuple[Tensor, ...] = ()


class TDNNF(FeedForward):
    """Layers through bottlenecks, with a bypass around each, and linear outputs.

    The lowest layer sees a few frames. A layer above sees, at the times 0 and s, a linear map P
    without a bias to a few units, which sees the times -s and 0 of the layer below. ReLU,
    normalisation and dropout follow, and the row below at the same time is added, times `bypass`.
    On top are such a layer without times and bypass, and the outputs, each over a P of its own. A
    constraint in the loss keeps the rows of each P orthogonal and of one length.

    Rows are computed at the times that the outputs need. Where every k-th frame of utterances is
    asked for, layers whose strides are multiples of k run at every k-th frame from there up.
    Dropout gives a row of a hidden layer the mask of the frame at its time, as in `TDNN`.

    Args:
        feature_dim: number of features of one frame.
        num_pdfs: number of outputs.
        strides: s of each factorised layer, from the input up; with 0 it sees one time.
        hidden_size: number of units of each hidden layer.
        bottleneck_size: number of outputs of P in the factorised layers.
        prefinal_size: number of outputs of the two P on top.
        context: times of the frames that the lowest layer sees, rising.
        bypass: factor of the row below that is added; 0 adds none.
        semi_orthogonal: ρ of the constraint (see `SemiOrthogonal`); 0 leaves it out.
        normalisation: none, rms, layer or batch: what follows each activation (see
            `Normalisation`).
        dropout: share of each hidden layer's outputs that training drops (see `Dropout`).
        subsampling: k, where every k-th frame is emitted in decoding and over lattices.
        initialisation: glorot, he or sparse, for all weights but P (see
            `models/initialisation.py`), which starts with orthonormal rows.
        seed: seed of the initial weights.

    Raises:
        InputError: a setting is unknown or out of range.
    """

    def __init__(
        self,
        *,
        feature_dim: int,
        num_pdfs: int,
        strides: Sequence[int],
        hidden_size: int,
        bottleneck_size: int,
        prefinal_size: int,
        context: Sequence[int] = _CONTEXT,
        bypass: float = 0.66,
        semi_orthogonal: float = 0.1,
        normalisation: str = "rms",
        dropout: float = 0.0,
        subsampling: int = 1,
        initialisation: str = "glorot",
        seed: int = 0,
    ) -> None:
        (lowest,) = checked_context([context])
        _check_sizes(hidden_size, bottleneck_size, prefinal_size)
        _check_numbers(strides, bypass, semi_orthogonal)
        # The times that each map sees, in the order of computation: the lowest layer, then P and
        # the affine map of each layer above it.
        maps: list[tuple[int, ...]] = [tuple(lowest)]
        for stride in [*strides, 0]:
            maps += [(-stride, 0), (0, stride)] if stride else [(0,), (0,)]
        narrow = [*[bottleneck_size] * len(strides), prefinal_size]
        fan_ins = [size * len(times) for size, times in zip(narrow, maps[2::2], strict=True)]
        super().__init__(
            feature_dim=feature_dim,
            num_pdfs=num_pdfs,
            left=sum(strides) - lowest[0],
            right=sum(strides) + lowest[-1],
            fan_ins=[len(lowest) * feature_dim, *fan_ins, prefinal_size],
            hidden_sizes=[hidden_size] * (len(strides) + 2),
            input_dim=feature_dim,
            activation="relu",
            normalisation=normalisation,
            dropout=dropout,
            subsampling=subsampling,
            initialisation=initialisation,
            seed=seed,
        )
        self.maps, self.bypass, self.semi_orthogonal = maps, float(bypass), float(semi_orthogonal)
        layers = self.layers
        del self.layers
        self.bottlenecks = orthonormal_maps(
            [*narrow, prefinal_size],
            [hidden_size * len(times) for times in [*maps[1::2], (0,)]],
            Generator().manual_seed(key_of(seed, _BOTTLENECKS)),
        )
        # The output layer stays the last one in θ.
        self.layers = layers

    @classmethod
    def check_size(
        cls, settings: Mapping[str, Any], feature_dim: int, num_pdfs: int, parameters: int
    ) -> None:
        """Refuse settings of more parameters than there are, and very wide or deep networks.

        See `AcousticModel` for the arguments.

        Raises:
            ValueError: the network would be larger.
        """
        strides, context = settings["strides"], settings.get("context", _CONTEXT)
        names = ("hidden_size", "bottleneck_size", "prefinal_size")
        hidden, narrow, prefinal = (settings[name] for name in names)
        frames = [len(strides), sum(strides), len(context), *map(abs, context)]
        if min([*strides, 0]) < 0 or max(frames) > MAX_FRAMES:
            raise ValueError(f"frames of context {str(frames)[:80]}")
        held = (len(context) * feature_dim + 1) * hidden + (prefinal + 1) * num_pdfs
        held += (3 * prefinal + 1) * hidden
        held += sum((4 * narrow if stride else 2 * narrow) + 1 for stride in strides) * hidden
        sizes = [feature_dim, hidden, narrow, prefinal, num_pdfs]
        if min(sizes) < 1 or held > parameters:
            raise ValueError(f"layers of {str(sizes)[:80]} in {parameters} parameters")

    def inputs(self, batch: FrameBatch, index: Tensor | None = None) -> TDNNFInputs:
        """Return the padded utterances of `batch`, or what the frames at `index` [F] need."""
        # Every k-th frame of whole utterances: their windows have most in common.
        steps = steps_of(batch, index, self.subsampling)
        if steps is not None or index is None:
            return self._of_utterances(batch, index, *(steps or (1, None)))

        def frames(span: Span) -> Tensor:
            return frames_at(batch, index, span.times)

        return self._taken(batch, self._spans(Span(0, 1, 1)), frames, len(index), None)

    def _of_utterances(
        self, batch: FrameBatch, index: Tensor | None, step: int, first: Tensor | None
    ) -> TDNNFInputs:
        """Return what every `step`-th frame of all utterances needs, given those in use [F]."""
        picked, rows = padded_utterances(batch, self.left, self.right, step, first)
        whole = Span(0, 1, len(picked))
        count = (len(picked) - self.left - self.right - 1) // step + 1

        def frames(span: Span) -> Tensor:
            return picked[span.places(whole, 0)]

        spans = self._spans(Span(self.left, step, count))
        return self._taken(batch, spans, frames, 1, rows if index is None else rows[index])

    def _spans(self, outputs: Span) -> tuple[Span, ...]:
        """Return the times of the input and of the rows of each map, given those of the last."""
        spans = [outputs]
        for times in reversed(self.maps):
            spans.append(spans[-1].below(times))
        return tuple(reversed(spans))

    def _taken(
        self,
        batch: FrameBatch,
        spans: tuple[Span, ...],
        frames: Callable[[Span], Tensor],
        windows: int,
        rows: Tensor | None,
    ) -> TDNNFInputs:
        """Return the inputs, given the function from times to frames of the batch."""
        features = batch.rows(frames(spans[0]), self.flat.dtype)
        draws: tuple[Tensor, ...] = ()
        if batch.draws is not None and self.dropout:
            numbers = (frames(span) for span in spans[1::2])
            draws = tuple(batch.draws.at(at, depth) for depth, at in enumerate(numbers))
        return TDNNFInputs(features, spans, windows, rows, draws)

    def describe(self) -> Description:
        """See `AcousticModel`."""
        times = [*self.maps[::2], (0,)]
        lowest, *above = self.described_layers(times)
        bypasses = [self.bypass] * (len(above) - 2) + [0.0, 0.0]
        through = zip(self._linear_maps(), [*self.maps[1::2], (0,)], strict=True)
        factorised = (
            replace(layer, bottleneck=Bottleneck(*parts), bypass=bypass)
            for layer, parts, bypass in zip(above, through, bypasses, strict=True)
        )
        return Description((0,), (lowest, *factorised))

    def constraint(self) -> SemiOrthogonal | None:
        """See `AcousticModel`: the rows of each P are to be orthogonal and of one length."""
        if not self.semi_orthogonal:
            return None
        known = self.affine_layers()
        layers = (known[f"bottlenecks.{number}"] for number in range(len(self.bottlenecks)))
        return SemiOrthogonal(self.semi_orthogonal, tuple(layers))

    def _linear_maps(self) -> list[nn.Linear]:
        return [layer for layer in self.bottlenecks if isinstance(layer, nn.Linear)]

    def forward(self, inputs: TDNNFInputs) -> Tensor:
        """Return logits [F, pdfs] of the frames that the inputs were made for."""
        rows, used = self.normalise(inputs.features), self._used_rows(inputs)
        for depth in range(len(self.hidden_sizes)):
            rows = self._layer(depth, rows, inputs, used[depth])
        if inputs.rows is not None:
            rows = rows.index_select(0, inputs.rows)
        logits: Tensor = self.layers[-1](self.bottlenecks[-1](rows))
        return logits

    def _layer(self, depth: int, rows: Tensor, inputs: TDNNFInputs, used: Tensor | None) -> Tensor:
        """Compute the rows of a hidden layer from those of the layer below."""
        spans, windows, seen = inputs.spans, inputs.windows, rows
        # Numbers of the span above the layer, and of that below it.
        top, bottom = 2 * depth + 1, max(0, 2 * depth - 1)
        if depth > 0:
            below, above = spans[bottom], spans[bottom + 1]
            sides = beside(rows, below, above, self.maps[bottom], windows)
            seen = self.bottlenecks[depth - 1](sides)
        sides = beside(seen, spans[top - 1], spans[top], self.maps[top - 1], windows)
        draws = inputs.draws[depth] if inputs.draws else None
        outputs = self.hidden_outputs(depth, sides, used, draws)
        if not self.bypass or not 0 < depth < len(self.hidden_sizes) - 1:
            return outputs
        return outputs + self.bypass * beside(rows, spans[bottom], spans[top], (0,), windows)

    def _used_rows(self, inputs: TDNNFInputs) -> list[Tensor | None]:
        """Say of each hidden layer's rows whether they are used, where statistics ask for it."""
        used: list[Tensor | None] = [None] * len(self.hidden_sizes)
        if not batch_layers(self):
            return used
        spans, device = inputs.spans, inputs.features.device
        rows = torch.full((spans[-1].count,), inputs.rows is None, device=device)
        if inputs.rows is not None:
            rows[inputs.rows] = True
        for number in range(len(self.maps), 0, -1):
            if number % 2:
                used[number // 2] = rows.repeat_interleave(inputs.windows)
            below = rows.new_zeros(spans[number - 1].count)
            for time in self.maps[number - 1]:
                below[spans[number].places(spans[number - 1], time)] |= rows
            rows = below
        return used


def _check_sizes(hidden: int, bottleneck: int, prefinal: int) -> None:
    if hidden < 1:
        raise InputError(f"model.hidden_size={hidden}", expected="1 or more")
    for key, size in (("bottleneck_size", bottleneck), ("prefinal_size", prefinal)):
        if not 1 <= size <= hidden:
            raise InputError(
                f"model.{key}={size}: {hidden} hidden units",
                expected=f"from 1 to {hidden}: more rows cannot be orthogonal",
            )


def _check_numbers(strides: Sequence[int], bypass: float, strength: float) -> None:
    if any(stride < 0 for stride in strides):
        raise InputError(f"model.strides={list(strides)}", expected="strides of 0 or more")
    if not 0 <= bypass <= 1:
        raise InputError(f"model.bypass={bypass}", expected="a number from 0 to 1")
    if not 0 <= strength < float("inf"):
        raise InputError(f"model.semi_orthogonal={strength}", expected="0 or more")
