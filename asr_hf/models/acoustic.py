"""What every acoustic model has: a context window, input normalisation, priors, a description."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from asr_hf.curvature.affine import AffineLayer
from asr_hf.curvature.r_operator import Perceptron
from asr_hf.curvature.semi_orthogonal import SemiOrthogonal
from asr_hf.data.frame_batch import FrameBatch
from asr_hf.models.affine import linear_layers
from asr_hf.models.description import Description
from asr_hf.models.flat import FlatModule


class AcousticModel(FlatModule):
    """Maps frames in their context to logits over pdfs (HMM states).

    A model makes its own inputs from a batch of frames; those of frame t hold the frames t-left
    ... t+right of its utterance, edge frames repeated. Buffers, not trained: `input_mean` and
    `input_scale` [input_dim] (zero and one until `set_input_statistics`), `log_priors` [pdfs]
    (uniform until `set_log_priors`).

    The methods `inputs`, `forward` and `start_at_priors` are enough to train a model. What it says
    of itself beyond that makes more of it: `affine_layers` is what Kronecker-factored
    preconditioners take apart, and `describe` opens the R-operator, pretraining layer by layer and
    the exports that write layers.

    Args:
        feature_dim: number of features of one frame.
        num_pdfs: number of outputs.
        left: number of frames of context before each frame.
        right: number of frames of context after each frame.
        input_dim: number of columns of the rows that `normalise` takes: a multiple of
            `feature_dim`.
    """

    # Share of hidden units that `inputs` of a batch with `draws` drops; 0 where that is not done.
    dropout: float = 0.0
    # In decoding and over lattices the model emits every k-th frame; frame criteria train on all.
    subsampling: int = 1
    input_mean: Tensor
    input_scale: Tensor
    log_priors: Tensor

    def __init__(
        self, feature_dim: int, num_pdfs: int, left: int, right: int, input_dim: int
    ) -> None:
        super().__init__()
        if min(feature_dim, num_pdfs) < 1 or min(left, right) < 0:
            raise ValueError(
                "expected at least one feature and one pdf and no negative context, found "
                f"feature_dim={feature_dim} num_pdfs={num_pdfs} left={left} right={right}"
            )
        self.feature_dim, self.num_pdfs = feature_dim, num_pdfs
        self.left, self.right = left, right
        self.input_dim = input_dim
        self.register_buffer("input_mean", torch.zeros(self.input_dim))
        self.register_buffer("input_scale", torch.ones(self.input_dim))
        self.register_buffer("log_priors", torch.full((num_pdfs,), 1.0 / num_pdfs).log())

    @classmethod
    def check_size(
        cls, settings: Mapping[str, Any], feature_dim: int, num_pdfs: int, parameters: int
    ) -> None:
        """Refuse settings that would make a larger model than a file holds.

        A file may come from anywhere, and a model of a kind of asr-hf's own is made from what it
        says. This comes first, so that making it takes no more memory than the file does.

        Args:
            settings: settings of the class, each of the type that its annotation has.
            feature_dim: number of features of one frame.
            num_pdfs: number of outputs.
            parameters: number of parameters that the file holds.

        Raises:
            ValueError: the model would be larger, or the class does not say how large.
        """
        raise ValueError(f"{cls.__name__} does not say how large it is")

    @abstractmethod
    def inputs(self, batch: FrameBatch, index: Tensor | None = None) -> Any:
        """Make what `forward` takes, in the parameters' dtype.

        Args:
            batch: unspliced frames [F, D] with their utterance bounds.
            index: numbers of the batch's frames whose logits are computed [K]; None for all, in
                order.

        Returns:
            The inputs, of any type.
        """

    @abstractmethod
    def forward(self, inputs: Any) -> Tensor:
        """Return logits [F, pdfs], before the softmax, of what `inputs` made of F frames."""

    @abstractmethod
    def start_at_priors(self) -> None:
        """Set the output layer so that posteriors of fresh weights start near `log_priors`."""

    def drop_priors(self) -> None:
        """Let the logits be log likelihoods as they are, as lattice-free MMI trains them.

        A class that knows its output layer takes the priors out of what it gives before.
        """
        self.log_priors.zero_()

    def affine_layers(self) -> dict[str, AffineLayer]:
        """Return the layers y = W a + b that a Kronecker-factored preconditioner takes apart.

        Each has to be used once in a forward pass, on rows [T, inputs], its output not changed in
        place. A model with a layer that is used otherwise leaves it out here. Parameters of no
        such layer, as the scale of a normalisation layer or the filters of a convolution, are
        preconditioned by the identity.

        Returns:
            The layers by the names of their modules; all plain torch.nn.Linear, unless a class says
            otherwise.
        """
        return linear_layers(self)

    def describe(self) -> Description | None:
        """Return the layers of the model one by one, or None where there is more to it than these.

        `asr_hf/models/description.py` says what a description holds, and where other kinds of
        layers would have their place in it; dropout, which belongs to training, has none. A
        description is valid for the class whose body defines this method and is not inherited: a
        derived class may compute something else. One that does not says so itself:

            def describe(self) -> Description | None:
                return super().describe()

        Returns:
            The description, or None.
        """
        return None

    def constraint(self) -> SemiOrthogonal | None:
        """Return a term of θ that training adds to the loss of each frame, or None.

        Every optimiser has it in its objective (see `ConstrainedObjective`); the loss of held-out
        data stays as it is.

        Returns:
            The term; None where there is none.
        """
        return None

    @property
    def description(self) -> Description | None:
        """What `describe` returns, where the model's own class defines it; None otherwise."""
        return self.describe() if "describe" in vars(type(self)) else None

    def perceptron(self) -> Perceptron | None:
        """Return what the R-operator needs, or None where products go by double backward."""
        description = self.description
        if description is None:
            return None
        return description.perceptron(list(self.parameters()), self.normalise)

    def normalise(self, rows: Tensor) -> Tensor:
        """Return (x - mean) * scale of rows x [T, input_dim], in the parameters' dtype."""
        centred = torch.sub(rows, self.input_mean)
        return centred.mul_(self.input_scale).to(self.input_scale.dtype)

    @torch.no_grad()
    def log_likelihoods(self, inputs: Any) -> Tensor:
        """Compute log p(pdf | x) - log p(pdf).

        These are log p(x | pdf) up to a constant of each frame, which decoding ignores.

        Args:
            inputs: inputs of F frames, as `inputs` made them.

        Returns:
            Log-likelihoods [F, pdfs], float32 or wider.
        """
        logits = self(inputs)
        wide = torch.promote_types(logits.dtype, torch.float32)
        return torch.log_softmax(logits, dim=1, dtype=wide).sub_(self.log_priors)

    def set_input_statistics(self, mean: Tensor, standard_deviation: Tensor) -> None:
        """Normalise inputs to zero mean and unit variance.

        Args:
            mean: mean over the training frames, [feature_dim] (used for every frame of a window)
                or [input_dim].
            standard_deviation: standard deviation over the training frames, of the same shape. A
                constant input (zero deviation) is only centred.

        Raises:
            ValueError: wrong shape, a value that is not finite, or a negative deviation.
        """
        mean, deviation = self._over_window(mean), self._over_window(standard_deviation)
        if bool((deviation < 0).any()):
            raise ValueError("a standard deviation is negative")
        self.input_mean.copy_(mean)
        self.input_scale.copy_(torch.where(deviation > 0, deviation, 1.0).reciprocal())

    def _over_window(self, statistic: Tensor) -> Tensor:
        if statistic.shape == (self.feature_dim,):
            statistic = statistic.repeat(self.input_dim // self.feature_dim)
        if statistic.shape != (self.input_dim,):
            raise ValueError(
                f"expected input statistics [{self.feature_dim}] or [{self.input_dim}], "
                f"found {list(statistic.shape)}"
            )
        if not bool(torch.isfinite(statistic).all()):
            raise ValueError("input statistics are not finite")
        return statistic

    def set_log_priors(self, counts: Tensor) -> None:
        """Take the pdfs' priors from their frame counts in the training alignment.

        A pdf never seen counts as one frame, so that its log prior stays finite.

        Args:
            counts: number of frames of each pdf [pdfs].

        Raises:
            ValueError: wrong shape or a negative count.
        """
        if counts.shape != (self.num_pdfs,) or bool((counts < 0).any()):
            raise ValueError(
                f"expected {self.num_pdfs} frame counts of 0 or more, found "
                f"{list(counts.shape)}, least {float(counts.min()) if counts.numel() else None}"
            )
        floored = counts.double().clamp_min(1.0)
        self.log_priors.copy_((floored / floored.sum()).log())
