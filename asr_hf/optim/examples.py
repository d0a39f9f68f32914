"""Training data as the optimisers need them: examples by number, as often as they ask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, default_collate

from asr_hf.runtime.errors import InputError

# A tensor [N, ...], or tuples, lists and dictionaries of such.
Tree = Any
Data = Any
_EXPECTED = (
    "tensors (inputs [N, ...], targets [N, ...]), where inputs may be a tuple or a dictionary of "
    "tensors, or a torch.utils.data.Dataset of pairs (input, target)"
)


class Examples(ABC):
    """Pairs of input and target, numbered from 0."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    @abstractmethod
    def take(self, numbers: np.ndarray) -> tuple[Tree, Tree]:
        """Return the inputs and the targets of some examples, side by side in this order."""


class TensorExamples(Examples):
    """Examples that are rows of tensors.

    Args:
        inputs: tensor, tuple or dictionary of tensors [N, ...].
        targets: the same.

    Raises:
        InputError: the tensors differ in length, or there are none.
    """

    def __init__(self, inputs: Tree, targets: Tree) -> None:
        self._inputs, self._targets = inputs, targets
        lengths = {len(leaf) if leaf.dim() else 0 for leaf in (*leaves(inputs), *leaves(targets))}
        if len(lengths) != 1 or not all(lengths):
            raise InputError(
                f"data: tensors of {', '.join(map(str, sorted(lengths))) or 'no'} examples",
                expected=_EXPECTED,
            )
        (self._count,) = lengths

    def __len__(self) -> int:
        return self._count

    def take(self, numbers: np.ndarray) -> tuple[Tree, Tree]:
        """See `Examples`."""
        if len(numbers) == self._count and np.array_equal(numbers, np.arange(self._count)):
            return self._inputs, self._targets

        def rows(tensor: Tensor) -> Tensor:
            return tensor.index_select(0, torch.from_numpy(numbers).to(tensor.device))

        return mapped(rows, self._inputs), mapped(rows, self._targets)


class DatasetExamples(Examples):
    """Examples that a dataset makes one by one.

    Args:
        dataset: gives the pair (input, target) of a number.
    """

    def __init__(self, dataset: Dataset[Any]) -> None:
        self._dataset: Any = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def take(self, numbers: np.ndarray) -> tuple[Tree, Tree]:
        """See `Examples`; inputs and targets are put side by side as torch's DataLoader does it."""
        inputs, targets = default_collate([self._dataset[int(n)] for n in numbers])
        return inputs, targets


def examples_of(data: Data) -> Examples:
    """Return data as examples.

    Args:
        data: tensors (inputs, targets), or a dataset of such pairs.

    Raises:
        InputError: the data are of another kind, or empty.
    """
    if isinstance(data, TensorDataset) and len(data.tensors) == 2:
        data = data.tensors
    if isinstance(data, DataLoader | IterableDataset):
        raise InputError(
            f"data: a {type(data).__name__} gives its examples in an order of its own",
            expected=_EXPECTED,
            remedy="give the dataset itself: the optimiser draws samples, and goes through each of "
            "them several times",
        )
    if isinstance(data, Sequence) and len(data) == 2 and all(map(_is_tree, data)):
        return TensorExamples(*data)
    if callable(getattr(data, "__getitem__", None)) and callable(getattr(data, "__len__", None)):
        examples = DatasetExamples(data)
        if len(examples):
            first = data[0]
            if isinstance(first, tuple | list) and len(first) == 2:
                return examples
    raise InputError(f"data: {_shown(data)}", expected=_EXPECTED)


def leaves(tree: Tree) -> list[Tensor]:
    """Return the tensors of a tree."""
    found: list[Tensor] = []
    mapped(found.append, tree)
    return found


def mapped(change: Callable[[Tensor], Any], tree: Tree) -> Tree:
    """Return a tree with every tensor changed."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, Mapping):
        return {name: mapped(change, part) for name, part in tree.items()}
    return tuple(mapped(change, part) for part in tree)


def _is_tree(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(_is_tree(part) for part in value.values())
    if isinstance(value, tuple | list):
        return bool(value) and all(map(_is_tree, value))
    return isinstance(value, Tensor)


def _shown(data: Data) -> str:
    parts = ", ".join(type(part).__name__ for part in data) if isinstance(data, tuple) else ""
    return f"{type(data).__name__} ({parts})" if parts else type(data).__name__
