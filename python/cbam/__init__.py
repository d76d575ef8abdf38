"""See where a neural network looks.

:func:`look` shows where the bundled network, or one from a weights file, looks in a picture. It needs NumPy alone.

With PyTorch, :func:`watch` shows every gate and every attention of your own model while it runs, :func:`explain` makes class
activation maps of it, and :func:`evaluate` measures how good maps are.
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

__all__ = [
    "ArgumentError",
    "CbamError",
    "CbamWarning",
    "Class",
    "DeviceError",
    "FileError",
    "InputError",
    "InternalError",
    "Look",
    "Maps",
    "MissingFileError",
    "Network",
    "NetworkError",
    "PhotoError",
    "PicturesError",
    "Statistics",
    "Style",
    "TruthError",
    "WeightsError",
    "__version__",
    "look",
    "overlay",
    "set_threads",
    "threads",
]
