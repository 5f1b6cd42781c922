"""How kernels are compiled: ahead of the first call, cached on disk, without the GIL, and with the arithmetic as it is written."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(signature: Any = None) -> Callable[[Function], Function]:
    """Decorator: machine code for `signature`, as numba writes it, e.g. "float64(float64[::1], float64[:, ::1])", or in its types.

    Without a signature the function is compiled for its first caller, as small functions that other kernels call are. Where no
    directory can be written for the cache (NUMBA_CACHE_DIR, `__pycache__`, the user's cache), it is compiled anew in each process.
    Fast-math stays off: results must not depend on how a processor reorders sums.
    """

    def decorate(function: Function) -> Function:
        try:
            return numba.njit(signature, cache=True, nogil=True)(function)  # type: ignore[no-any-return]
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            return numba.njit(signature, nogil=True)(function)  # type: ignore[no-any-return]

    return decorate
