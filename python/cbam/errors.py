"""What can go wrong, by who is at fault. Each class is one of Python's own too, so that code which knows nothing of this package
catches it as well.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "CbamError",
    "CbamWarning",
    "DeviceError",
    "FileError",
    "InputError",
    "InternalError",
    "MissingFileError",
    "NetworkError",
    "PhotoError",
    "PicturesError",
    "TruthError",
    "WeightsError",
]

import os
import sys
import warnings
from typing import Any


class CbamError(Exception):
    """Whatever this package raises; its text names the file, key or argument at fault."""


class FileError(CbamError, OSError):
    """A file could not be opened, read or written. It has ``errno`` and ``filename``, as every ``OSError``."""


class MissingFileError(FileError, FileNotFoundError):
    """A file is not there."""


class PhotoError(CbamError, ValueError):
    """A file is no picture that can be read, or is over the limits."""


class WeightsError(CbamError, ValueError):
    """A weights file is broken, or of no network that is known."""


class TruthError(CbamError, ValueError):
    """What a truth says cannot be used."""


class ArgumentError(CbamError, ValueError):
    """An argument has a value that cannot be used."""


class InputError(CbamError, ValueError):
    """An array has another shape, kind or device than what takes it expects."""


class NetworkError(CbamError, RuntimeError):
    """What a network gives out cannot be used."""


class DeviceError(CbamError, RuntimeError):
    """Something lies on a device on which it cannot be used."""


class InternalError(CbamError, RuntimeError):
    """A fault of this package's own."""


class PicturesError(CbamError):
    """Some of several pictures could not be looked at. Nothing of the others is lost.

    Attributes:
        looks: an answer for each picture, in their order; ``None`` where one failed.
        errors: what went wrong, by the picture's place in the list.
    """

    def __init__(self, looks: list[Any], errors: dict[int, Exception]) -> None:
        first, error = next(iter(errors.items()))
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        super().__init__(f"{len(errors)} of {len(looks)} pictures failed: number {first}: {error}{more}")
        self.looks = looks
        self.errors = errors

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.looks, self.errors)


class CbamWarning(UserWarning):
    """Something was taken for granted, or passed over, and the answer depends on it."""


_HERE = os.path.dirname(__file__) + os.sep


def warn(message: str) -> None:
    """Warns where this package was called, however deep inside it that is found out."""
    level, frame = 1, sys._getframe()  # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, CbamWarning, stacklevel=level)
