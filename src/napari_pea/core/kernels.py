"""How the compiled parts are compiled: once, without the interpreter's lock, and cached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function when it is first called.

    The machine code is kept beside the source, or in the user's cache folder if that is
    read-only. Where neither can be written it is made again in every process.

    Parameters
    ----------
    function : callable
        Something that numba understands.
    """
    try:
        kernel = njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder for the cache
        kernel = njit(nogil=True)(function)
    return kernel  # type: ignore[no-any-return]


def inlined(function: Function) -> Function:
    """Compile a small function into the kernels that call it."""
    return njit(inline="always")(function)  # type: ignore[no-any-return]


@intrinsic
def prefetch(typing_context, array, index):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG001
    """Have the memory of an array's item at an unsigned index fetched into the cache.

    Without effect but for the time that a later access takes.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        array_type = signature.args[0]
        items = context.make_array(array_type)(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(items.data, [arguments[1]]), ir.IntType(8).as_pointer())
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # For reading, to be kept in all caches, data.
        builder.call(function, [place, flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


@intrinsic
def dot16(typing_context, array, first, second):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG001
    """Return the scalar product of twice 16 successive numbers of a float32 array.

    Written out, so that a processor takes all 16 at once and the sum has one order.
    """
    lanes = 16

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        items = context.make_array(signature.args[0])(context, builder, arguments[0])
        kind = ir.VectorType(ir.FloatType(), lanes)
        first, second = (
            builder.load(
                builder.bitcast(builder.gep(items.data, [start]), kind.as_pointer()), align=4
            )
            for start in arguments[1:]
        )
        total = builder.fmul(first, second)
        width = lanes
        while width > 1:
            width //= 2
            halves = [
                builder.shuffle_vector(
                    total,
                    ir.Constant(total.type, ir.Undefined),
                    ir.Constant(
                        ir.VectorType(ir.IntType(32), width), list(range(begin, begin + width))
                    ),
                )
                for begin in (0, width)
            ]
            total = builder.fadd(*halves)
        return builder.extract_element(total, ir.IntType(32)(0))

    return types.float32(array, types.uint64, types.uint64), generate
