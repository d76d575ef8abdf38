"""See where a neural network looks.

:func:`look` shows where the bundled network, or one from a weights file, looks in a picture. It needs NumPy alone.

With PyTorch, :func:`watch` shows every gate and every attention of your own model while it runs, :func:`explain` makes class
activation maps of it, and :func:`evaluate` measures how good maps are.

With pyarrow, :class:`Attend` looks at tables of pictures, :mod:`cbam.ray` and :mod:`cbam.daft` at data sets on many machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._cbam import __version__, set_threads, threads
from ._draw import overlay
from ._look import Class, Look, Maps, Network, Statistics, look
from ._style import Style
from .errors import (
    ArgumentError,
    CbamError,
    CbamWarning,
    DeviceError,
    FileError,
    InputError,
    InternalError,
    MissingFileError,
    NetworkError,
    PhotoError,
    PicturesError,
    TruthError,
    WeightsError,
)

if TYPE_CHECKING:
    from ._attend import Attend
    from ._evaluate import Evaluation, MapFigures, Share, evaluate
    from ._explain import Explanation, explain
    from ._watch import Attention, Gate, Seen, watch

__all__ = [
    "ArgumentError",
    "Attend",
    "Attention",
    "CbamError",
    "CbamWarning",
    "Class",
    "DeviceError",
    "Evaluation",
    "Explanation",
    "FileError",
    "Gate",
    "InputError",
    "InternalError",
    "Look",
    "MapFigures",
    "Maps",
    "MissingFileError",
    "Network",
    "NetworkError",
    "PhotoError",
    "PicturesError",
    "Seen",
    "Share",
    "Statistics",
    "Style",
    "TruthError",
    "WeightsError",
    "__version__",
    "evaluate",
    "explain",
    "look",
    "overlay",
    "set_threads",
    "threads",
    "watch",
]

# What many do not use, or needs PyTorch or Arrow, is imported when it is first asked for.
_LATER = {
    "Attend": "._attend",
    "Attention": "._watch",
    "Evaluation": "._evaluate",
    "Explanation": "._explain",
    "Gate": "._watch",
    "MapFigures": "._evaluate",
    "Seen": "._watch",
    "Share": "._evaluate",
    "evaluate": "._evaluate",
    "explain": "._explain",
    "watch": "._watch",
}


def __getattr__(name: str) -> Any:
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    try:
        found = getattr(importlib.import_module(module, __name__), name)
    except ModuleNotFoundError as error:
        wanted = {"torch": "looks into a PyTorch model, and PyTorch", "pyarrow": "works on Arrow tables, and pyarrow"}.get(str(error.name))
        if wanted is None:
            raise
        raise ImportError(f"cbam.{name} {wanted} is not installed", name=error.name) from None
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
