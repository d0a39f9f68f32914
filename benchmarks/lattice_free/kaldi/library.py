"""Kaldi's chain objective, as compiled in the PyPI package kaldi-active-grammar.

python -m benchmarks.lattice_free.kaldi.library LIBRARY FOLDER

Kaldi's functions are called by the names of their C++ symbols. These names contain the types of
the arguments, so that a library with other functions, or in double precision, has no such symbol.
The few objects that a caller makes have the layout of Kaldi's headers. This runs in a process of
its own: Kaldi ends the process where one of its assertions fails, and brings another BLAS.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What is computed, by case; the answers lie beside it.
CASES = "cases.json"
_ADDRESS, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
# A transducer: the addresses of its functions, of what it shares, and of its count of owners.
_FST_OBJECT = _ADDRESS * 3
_VECTOR = _ADDRESS * 3
# More than any object here takes; Kaldi's constructors fill in what they need of it.
_ROOM = 8192
# As compilers encode the names: kaldi::chain::, and the argument types that recur.
_CHAIN = "_ZN5kaldi5chain"
_OPTIONS = "RKNS0_20ChainTrainingOptionsERKNS0_16DenominatorGraphE"
_FST = "RKN3fst9VectorFstINS2_6ArcTplINS2_17TropicalWeightTplIfEEEENS2_11VectorStateIS7_SaIS7_EEEEE"


class _Matrix(ctypes.Structure):
    """CuMatrixBase<float>, without a GPU."""

    _fields_ = (("data", _ADDRESS), ("columns", _INT), ("rows", _INT), ("stride", _INT))

    @classmethod
    def over(cls, values: NDArray[np.float32]) -> _Matrix:
        """Return a matrix over the memory of an array [rows, columns]."""
        rows, columns = values.shape
        return cls(values.ctypes.data, columns, rows, columns)


class _Vector(ctypes.Structure):
    """CuVectorBase<float>, without a GPU."""

    _fields_ = (("data", ctypes.POINTER(_FLOAT)), ("size", _INT))


class _Options(ctypes.Structure):
    """ChainTrainingOptions."""

    _fields_ = (
        ("l2_regularize", _FLOAT),
        ("out_of_range_regularize", _FLOAT),
        ("leaky_hmm_coefficient", _FLOAT),
        ("xent_regularize", _FLOAT),
        ("numerator_threads", ctypes.c_uint),
    )


class _Supervision(ctypes.Structure):
    """Supervision; the vectors are empty ones."""

    _fields_ = (
        ("weight", _FLOAT),
        ("sequences", _INT),
        ("frames", _INT),
        ("labels", _INT),
        ("fst", _FST_OBJECT),
        ("vectors", _VECTOR * 2),
    )


class KaldiLibrary:
    """The functions of Kaldi's chain objective.

    Args:
        path: libkaldi-dragonfly.so, which loads those of Kaldi.
    """

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        call = self._function
        self._make_text = call("_ZNSsC1EPKcRKSaIcE", None, _ADDRESS, ctypes.c_char_p, _ADDRESS)
        self._read_fst = call("_ZN3fst12ReadFstKaldiESs", _ADDRESS, _ADDRESS)
        self._make_graph = call(
            f"{_CHAIN}16DenominatorGraphC1E{_FST}i", None, *2 * [_ADDRESS], _INT
        )
        self._initial = call(
            "_ZNK5kaldi5chain16DenominatorGraph12InitialProbsEv",
            ctypes.POINTER(_Vector),
            _ADDRESS,
        )
        computation = f"{_CHAIN}22DenominatorComputation"
        matrix = "NS_12CuMatrixBaseIfEE"
        self._make_denominator = call(
            f"{computation}C1E{_OPTIONS}iRK{matrix}",
            *(None, _ADDRESS, _ADDRESS, _ADDRESS, _INT, _ADDRESS),
        )
        self._forward = call(f"{computation}7ForwardEv", _FLOAT, _ADDRESS)
        self._backward = call(
            f"{computation}8BackwardEfP{matrix}", ctypes.c_bool, _ADDRESS, _FLOAT, _ADDRESS
        )
        self._end_denominator = call(f"{computation}D1Ev", None, _ADDRESS)
        self._objective = call(
            f"{_CHAIN}24ComputeChainObjfAndDerivE{_OPTIONS}RKNS0_11SupervisionE"
            f"RK{matrix}PfSE_SE_PSB_PNS_8CuMatrixIfEE",
            *(None, *9 * [_ADDRESS]),
        )

    def _function(self, symbol: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        function = getattr(self._library, symbol)
        function.restype, function.argtypes = result, arguments
        return function  # type: ignore[no-any-return]

    def _fst(self, path: Path) -> int:
        """Read a transducer from OpenFst's binary form; return its address."""
        text, allocator = ctypes.create_string_buffer(64), ctypes.create_string_buffer(8)
        self._make_text(text, str(path).encode(), allocator)
        return int(self._read_fst(text))

    def graph(self, path: Path, pdfs: int) -> tuple[ctypes.Array[Any], NDArray[np.float32]]:
        """Make a denominator graph.

        Args:
            path: its transducer.
            pdfs: number of pdfs.

        Returns:
            Kaldi's object; and the probability of each state before the first frame [S].
        """
        graph = ctypes.create_string_buffer(_ROOM)
        self._make_graph(graph, self._fst(path), pdfs)
        initial = self._initial(graph).contents
        return graph, np.ctypeslib.as_array(initial.data, (initial.size,)).copy()

    def denominator(
        self,
        graph: ctypes.Array[Any],
        outputs: NDArray[np.float32],
        sequences: int,
        options: _Options,
    ) -> tuple[float, NDArray[np.float32]]:
        """Return the denominators' log weight, in all, and its derivative by the outputs."""
        computation = ctypes.create_string_buffer(_ROOM)
        # Kaldi's object holds on to the outputs' transpose alone.
        given, derivative = _Matrix.over(outputs), np.zeros_like(outputs)
        into = _Matrix.over(derivative)
        self._make_denominator(
            computation, ctypes.byref(options), graph, sequences, ctypes.byref(given)
        )
        total = float(self._forward(computation))
        if not self._backward(computation, 1.0, ctypes.byref(into)):
            raise SystemExit("Kaldi's backward pass of the denominator failed")
        self._end_denominator(computation)
        return total, derivative

    def objective(
        self,
        graph: ctypes.Array[Any],
        numerators: Path,
        outputs: NDArray[np.float32],
        sequences: int,
        options: _Options,
    ) -> tuple[float, NDArray[np.float32]]:
        """Return the objective with its penalty of the outputs' size, and the derivative."""
        fst = _FST_OBJECT.from_address(self._fst(numerators))
        frames, labels = len(outputs) // sequences, outputs.shape[1]
        said = _Supervision(1.0, sequences, frames, labels, fst)
        found, penalty, weight = _FLOAT(), _FLOAT(), _FLOAT()
        given, derivative = _Matrix.over(outputs), np.zeros_like(outputs)
        into = _Matrix.over(derivative)
        self._objective(
            *(ctypes.byref(options), graph, ctypes.byref(said), ctypes.byref(given)),
            *map(ctypes.byref, (found, penalty, weight, into)),
            None,
        )
        return found.value + penalty.value, derivative


def answer(library: KaldiLibrary, folder: Path, case: dict[str, Any]) -> None:
    """Compute one case, and write its answer beside it."""
    outputs = np.load(folder / f"{case['name']}.npy", allow_pickle=False)
    # Its own penalty is drawn by chance in half of the calls, and concerns outputs beyond ±30.
    options = _Options(case["output_decay"], 0.0, case["leak"], 0.0, 1)
    graph, initial = library.graph(folder / case["denominator"], outputs.shape[1])
    log_z, occupancies = library.denominator(graph, outputs, case["sequences"], options)
    objective, derivative = library.objective(
        graph, folder / f"{case['name']}.fst", outputs, case["sequences"], options
    )
    np.savez(
        folder / f"{case['name']}.npz",
        initial=initial,
        log_z=log_z,
        occupancies=occupancies,
        objective=objective,
        derivative=derivative,
    )


def main(path: str, folder: str) -> None:
    """Compute all cases of a folder."""
    library = KaldiLibrary(Path(path))
    for case in json.loads((Path(folder) / CASES).read_text(encoding="utf-8")):
        answer(library, Path(folder), case)


if __name__ == "__main__":
    main(*sys.argv[1:])
