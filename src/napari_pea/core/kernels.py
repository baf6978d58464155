"""How the compiled parts are compiled: once, without the interpreter's lock, and cached."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    kernel: Any = njit(nogil=True)(function)
    with suppress(RuntimeError):  # no folder for the cache
        kernel._cache = KernelCache(function)  # type: ignore[no-untyped-call]
    return cast("Function", kernel)


def inlined(function: Function) -> Function:
    """Compile a small function into the kernels that call it."""
    return cast("Function", njit(inline="always")(function))


class KernelCache(FunctionCache):
    """Numba's cache, but one that never stops a kernel that is compiled already.

    It also takes note of the other files that a kernel may be made of: numba itself looks
    only at the file that the kernel is in.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled kernel; None if there is none or its file is damaged."""
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001 - a damaged file may give anything
            self._forget()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel, or do without if that cannot be: a disk may be full."""
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001 - the index may be damaged as well
            # The index is written before the code, and may now name that of an older source.
            self._forget()

    def is_filled(self) -> bool:
        """Whether the present sources were compiled into this cache."""
        digest = digest_of_kernels(Path(self._py_func.__code__.co_filename).parent)
        try:
            index = self._cache_file._load_index()
        except Exception:  # noqa: BLE001 - a damaged file may give anything
            return False
        return any(digest in key for key in index)

    def _forget(self) -> None:
        with suppress(OSError):
            Path(self._cache_file._index_path).unlink(missing_ok=True)

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        folder = Path(self._py_func.__code__.co_filename).parent
        key = super()._index_key(sig, codegen)  # type: ignore[no-untyped-call]
        return (*key, digest_of_kernels(folder))


def is_cached(kernel: Callable[..., Any]) -> bool:
    """Whether the machine code of something compiled is kept for other processes."""
    return isinstance(getattr(kernel, "_cache", None), KernelCache)


def is_filled(kernel: Callable[..., Any]) -> bool:
    """Whether there is machine code of something compiled that was kept by any process."""
    cache = getattr(kernel, "_cache", None)
    return isinstance(cache, KernelCache) and cache.is_filled()


@lru_cache
def digest_of_kernels(folder: Path) -> str:
    """Return what changes with the sources in a folder that define something compiled."""
    digest = hashlib.sha256()
    for path in (Path(__file__), *sorted(folder.glob("*.py"))):
        source = path.read_bytes()
        if b"core.kernels import" in source or path == Path(__file__):
            digest.update(source)
    return digest.hexdigest()


def _prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        items = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(items.data, [arguments[1]]), ir.IntType(8).as_pointer())
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # For reading, to be kept in all caches, data.
        builder.call(function, [place, flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


def _dot16(typing_context: Any, array: Any, first: Any, second: Any) -> Any:
    lanes = 16

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
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


#: Have the memory of an array's item at an unsigned index fetched into the cache. Without
#: effect but for the time that a later access takes.
prefetch = cast("Callable[[NDArray[Any], np.uint64], None]", intrinsic(_prefetch))

#: Return the scalar product of twice 16 successive numbers of a float32 array, which begin at
#: two unsigned indices. Written out, so that a processor takes all 16 at once and the sum has
#: one order.
dot16 = cast("Callable[[NDArray[np.float32], np.uint64, np.uint64], np.float32]", intrinsic(_dot16))
