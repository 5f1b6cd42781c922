"""The compiled inner loops of the mathematics, behind one loader, so that nothing pays for numba before it needs it.

A kernel module imports numba and declares its signatures, so that importing it compiles it (the first time on a machine) or
loads it from the cache (every other time). Everyone else asks `kernel("name")` for the module.
"""

import threading
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

_lock = threading.RLock()
_loaded: dict[str, Any] = {}


def kernel(name: str) -> Any:
    """The compiled module `risk.kernels.<name>`; the first call loads it, and calls from other threads wait for that."""
    module = _loaded.get(name)
    if module is None:
        with _lock:
            module = _loaded[name] = import_module(f"{__name__}.{name}")
    return module


def warm() -> list[str]:
    """Load every kernel, compiling what was not cached; their names. Meant for a thread of its own after a start."""
    names = sorted(m.name for m in iter_modules(__path__) if m.name != "jit")
    for name in names:
        kernel(name)
    return names
