"""A vector of numbers for numba's compiler, one of each utterance that stands side by side.

Written as loops over elements, the sums of a row run one number at a time: the compiler cannot know
that rows do not overlap. A type of its own lets it hold a row in the CPU's registers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 16


class Lanes(types.Type):
    """The type of `LANES` numbers.

    Args:
        dtype: numba's float32 or float64.
    """

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    """Lanes are one value of LLVM's."""

    def __init__(self, manager: Any, of: Lanes) -> None:
        element = ir.FloatType() if of.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, of, ir.VectorType(element, LANES))


def _place(context: Any, builder: Any, matrix: types.Array, value: Any, row: Any) -> Any:
    """Return the address of a row of a matrix [rows, LANES], whose rows lie side by side."""
    lanes = context.get_value_type(Lanes(matrix.dtype))
    first = context.make_array(matrix)(context, builder, value).data
    at = builder.gep(first, [builder.mul(row, ir.Constant(row.type, LANES))])
    return builder.bitcast(at, lanes.as_pointer())


@intrinsic
def row(_: Any, matrix: types.Array, number: types.Integer) -> Any:
    """Return a row of a matrix [rows, LANES]."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        read = builder.load(_place(context, builder, matrix, *given))
        # Rows of float32 that torch made are aligned to more than their numbers; not all are.
        read.align = matrix.dtype.bitwidth // 8
        return read

    return Lanes(matrix.dtype)(matrix, types.intp), generate


@intrinsic
def put(_: Any, matrix: types.Array, number: types.Integer, lanes: Lanes) -> Any:
    """Write a row of a matrix [rows, LANES]."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        write = builder.store(given[2], _place(context, builder, matrix, *given[:2]))
        write.align = matrix.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(matrix, types.intp, lanes), generate


@intrinsic
def every(_: Any, number: types.Float) -> Any:
    """Return lanes that all hold one number."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        lanes, word = context.get_value_type(signature.return_type), ir.IntType(32)
        nothing = ir.Constant(lanes, ir.Undefined)
        one = builder.insert_element(nothing, given[0], ir.Constant(word, 0))
        return builder.shuffle_vector(
            one, nothing, ir.Constant(ir.VectorType(word, LANES), [0] * LANES)
        )

    return Lanes(number)(number), generate


@intrinsic
def fused(_: Any, a: Lanes, b: Lanes, c: Lanes) -> Any:
    """Return a b + c, rounded once where the CPU can."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        lanes = given[0].type
        name = f"llvm.fmuladd.v{LANES}f{a.dtype.bitwidth}"
        kind = ir.FunctionType(lanes, [lanes] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)

    return a(a, a, a), generate


def _of_two(instruction: Callable[..., Any], meaning: str) -> Callable[..., Any]:
    def typed(_: Any, a: Lanes, b: Lanes) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return instruction(builder, *given)

        return a(a, a), generate

    typed.__doc__ = f"Return {meaning}."
    compiled: Callable[..., Any] = intrinsic(typed)
    return compiled


plus = _of_two(ir.IRBuilder.fadd, "a + b")
times = _of_two(ir.IRBuilder.fmul, "a b")
over = _of_two(ir.IRBuilder.fdiv, "a / b")
