"""Networks that this package runs by itself."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Literal, overload

from . import _cbam
from ._asked import Asked, Opening
from ._answer import Class, Look, Maps, Statistics
from ._pictures import Picture, given, many
from ._style import styled
from .errors import ArgumentError, PicturesError, warn

__all__ = ["Class", "Look", "Maps", "Network", "Statistics", "look", "network", "styled"]


class Network:
    """A network from a weights file, opened once to look at many pictures.

    It runs on the CPU, by the core's own kernels and without PyTorch. The same picture gives the same bits every time, whatever it is
    looked at with, and with any number of threads. Threads may share it.

    Args:
        weights: a safetensors or PyTorch file; by default the bundled EfficientNet-Lite0 with trained attention.
        arch, drop_attention, part, stride_in, pool_order, max_pool, symmetric: what a weights file does not say of its network; see
            ``cbam-weights inspect``.
        labels: the names of its classes, one for each.
        size: the short side of what it sees, in pixels.
        mean, std: how it takes pictures, in pixels of 0 to 255, for red, green and blue.
        channels: what stands for a pixel: ``rgb``, ``bgr`` or ``grey``.
        square: it is given squares, whatever the picture's shape.
        outputs: what its numbers for the classes are: ``softmax``, ``sigmoid`` or ``probabilities``.
        precision: ``f32``; or ``bf16``, nearly the same: faster on a processor with AMX, and perhaps slower on one with AVX512-BF16 alone.

    Raises:
        FileError, WeightsError: if the file cannot be read, or is of no network that is known.
        ArgumentError: for an argument that cannot be, or has no effect.

    Warns:
        CbamWarning: of what was taken for granted about the file.
    """

    def __init__(self, weights: str | os.PathLike[str] | None = None, **opening: Any) -> None:
        self._raw = _cbam.Network(weights, Opening.of(opening))
        for note in self._raw.notes:
            warn(note)

    @property
    def name(self) -> str:
        """What pictures and pages call it."""
        return self._raw.name

    @property
    def labels(self) -> list[str]:
        """The names of its classes."""
        return self._raw.labels

    @property
    def classes(self) -> int:
        """How many classes it knows."""
        return self._raw.classes

    @property
    def maps(self) -> list[str]:
        """The maps that it can make; the first is its own."""
        return self._raw.maps

    @property
    def places(self) -> list[str]:
        """The stages at which explanations may look, as in ``eigencam:stage5``."""
        return self._raw.places

    @property
    def size(self) -> int:
        """The short side of what it sees, in pixels."""
        return self._raw.size

    @property
    def notes(self) -> list[str]:
        """What was taken for granted about its file."""
        return self._raw.notes

    def __repr__(self) -> str:
        return f"Network({self.name!r}, {self.classes} classes)"

    @overload
    def look(  # pyright: ignore[reportOverlappingOverload]
        self, picture: list[Any] | tuple[Any, ...], maps: Any = None, class_: Any = None, **how: Any
    ) -> list[Look]: ...
    @overload
    def look(self, picture: Picture, maps: Any = None, class_: Any = None, **how: Any) -> Look: ...
    def look(
        self,
        picture: Any,
        maps: str | Sequence[str] | None = None,
        class_: int | str | None = None,
        *,
        range: tuple[float, float] | None = None,
        layout: Literal["HWC", "CHW"] | None = None,
        on_error: Literal["raise", "return"] = "raise",
        **how: Any,
    ) -> Any:
        """What it sees in a picture, or in each of a list; see :func:`cbam.look`."""
        if on_error not in ("raise", "return"):
            raise ArgumentError(f"on_error: {on_error!r} is neither 'raise' nor 'return'")
        asked = Asked.of(maps, class_, how)
        several = many(picture)
        if several is None:
            if on_error == "return":
                raise ArgumentError("on_error: is for a list of pictures")
            found = self._raw.look([given(picture, range, layout)], asked)[0]
            if isinstance(found, BaseException):
                raise found
            return _warned(Look(found))
        return self._several(several, asked, range, layout, on_error)

    def _several(
        self, pictures: list[Any], asked: Asked, range: Any, layout: str | None, on_error: str
    ) -> list[Look | Exception]:
        errors: dict[int, Exception] = {}
        taken: OrderedDict[int, Any] = OrderedDict()
        for number, picture in enumerate(pictures):
            try:
                taken[number] = given(picture, range, layout)
            except Exception as error:
                errors[number] = error
        found: dict[int, Look] = {}
        for number, look in zip(taken, self._raw.look(list(taken.values()), asked)):
            if isinstance(look, Exception):
                errors[number] = look
            else:
                found[number] = _warned(Look(look))
        errors = dict(sorted(errors.items()))
        if errors and on_error == "raise":
            raise PicturesError([found.get(number) for number, _ in enumerate(pictures)], errors)
        return [found[number] if number in found else errors[number] for number, _ in enumerate(pictures)]


def _warned(look: Look) -> Look:
    for text in [*([] if look.damage is None else [look.damage]), *look.notes]:
        warn(f"{look.name}: {text}")
    return look


_networks: OrderedDict[Any, Network] = OrderedDict()
_lock = Lock()
_MOST_NETWORKS = 4


def _forked() -> None:
    """A lock that somebody held when the process was forked would never be given back."""
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def network(weights: str | os.PathLike[str] | Network | None, opening: Mapping[str, Any]) -> Network:
    """The network of a file, which is kept open: the four that were used last, as long as their files do not change."""
    if isinstance(weights, Network):
        if opening:
            raise ArgumentError(f"{next(iter(opening))}: has no effect on a network that is open")
        return weights
    stamp = None
    if weights is not None:
        weights = os.path.abspath(os.fsdecode(weights))
        if os.path.exists(weights):
            of = os.stat(weights)
            stamp = (of.st_mtime_ns, of.st_size, of.st_ino)
    key = (weights, stamp, Opening.of(opening))
    with _lock:
        found = _networks.get(key)
        if found is None:
            found = _networks[key] = Network(weights, **opening)
            while len(_networks) > _MOST_NETWORKS:
                _networks.popitem(last=False)
        _networks.move_to_end(key)
    return found


@overload
def look(  # pyright: ignore[reportOverlappingOverload]
    picture: list[Any] | tuple[Any, ...], maps: Any = None, class_: Any = None, weights: Any = None, **how: Any
) -> list[Look]: ...
@overload
def look(picture: Picture, maps: Any = None, class_: Any = None, weights: Any = None, **how: Any) -> Look: ...
def look(
    picture: Any,
    maps: str | Sequence[str] | None = None,
    class_: int | str | None = None,
    weights: str | os.PathLike[str] | Network | None = None,
    *,
    range: tuple[float, float] | None = None,
    layout: Literal["HWC", "CHW"] | None = None,
    on_error: Literal["raise", "return"] = "raise",
    **how: Any,
) -> Any:
    """Where a network looks in a picture, or in each of a list of pictures.

    Args:
        picture: a path, the bytes of a file, an image of Pillow, an array or tensor of pixels (``[H, W]``, ``[H, W, C]`` or
            ``[C, H, W]``; ``uint8``, ``uint16``, or floats with ``range``), or a list of such.
        maps: the maps that are wanted, by name: ``fused`` (what tells the class), ``object`` (the whole thing), ``patch``,
            ``patch@X,Y``, ``spatial``, ``channel:STAGE``, ``rollout``, ``gradcam``, ``eigencam:STAGE``, …; by default the network's first.
        class_: the class that maps of a class are of, by number or by name; by default the likeliest.
        weights: a weights file, or a :class:`Network` that is open; by default the bundled network.
        range: what floats have for black and for white, as ``(0, 1)``.
        layout: ``HWC`` or ``CHW``, where a shape can be read both ways.
        on_error: of a list, whether a picture that cannot be looked at raises :class:`PicturesError` when all others are done
            (it has their looks), or whether its exception stands in the list in its place (``"return"``).
        how: ``size`` (the short side of what the network sees, in pixels); of costly methods ``masks``, ``seed``, ``window``,
            ``stride``; and what :class:`Network` takes to open ``weights``.

    Returns:
        A :class:`Look`, or a list of them.

    Raises:
        FileError, PhotoError, WeightsError: for a file that cannot be read.
        ArgumentError, InputError, DeviceError: for what cannot be used.

    Example:
        >>> import cbam
        >>> look = cbam.look("assets/images/coffee.jpg", maps=["fused", "patch"])
        >>> look.top[0].label
        'espresso'
    """
    asked = {key: how.pop(key) for key in list(how) if key in Asked.WORDS}
    found: Any = network(weights, how)
    return found.look(picture, maps, class_, range=range, layout=layout, on_error=on_error, **asked)
