"""Networks that this package runs by itself, and what they see."""

from __future__ import annotations

import html
import io
import os
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast, overload

import numpy as np

from . import _cbam
from ._asked import Asked, Opening
from ._pictures import Picture, given, many
from ._style import Style
from .errors import ArgumentError, CbamWarning, PicturesError

if TYPE_CHECKING:
    from numpy.typing import NDArray

IFRAME_BYTES = 500_000
"""The most bytes that a look takes in a notebook."""


class Class(NamedTuple):
    """A class that a network knows.

    Attributes:
        number: from 0.
        label: its name.
        probability: 0 to 1; ``None`` for a score that is of no class.
    """

    number: int
    label: str
    probability: float | None


class Statistics(NamedTuple):
    """Where a map is high, and how concentrated it is.

    Attributes:
        min, max, mean: of its values.
        peak: x and y of its greatest value, as fractions of width and height.
        centroid: x and y of its centre of mass, likewise.
        entropy: of its values as a distribution, 0 (one cell) to 1 (even).
        coverage: the share of the map above half its greatest value, 0 to 1.
    """

    min: float
    max: float
    mean: float
    peak: tuple[float, float]
    centroid: tuple[float, float]
    entropy: float
    coverage: float


class Maps(Mapping[str, "NDArray[np.float32]"]):
    """The maps of a look, by name: those that were asked for first, then those that it holds besides.

    Each is an array ``[h, w]`` on its own grid, at least 0 and unscaled (a channel gate is ``[C]``), and the same array every time.
    ``torch.from_dlpack(look.maps["fused"])`` shares its memory.
    """

    def __init__(self, look: _cbam.Look) -> None:
        self._look = look
        self._made: dict[str, NDArray[np.float32]] = {}
        self._names = list(dict.fromkeys([*look.asked, *look.held]))

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        made = self._made.get(name)
        if made is None:
            made = self._made.setdefault(name, self._look.map(name))
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __repr__(self) -> str:
        return f"Maps({', '.join(self._names)})"


class Look:
    """What a network saw in a picture, kept with the picture. ``cbam.look`` makes it.

    >>> import cbam
    >>> look = cbam.look("assets/images/chelsea.jpg")
    >>> look.top[0].label
    'tabby cat'
    >>> look.maps["fused"].shape
    (18, 27)
    """

    def __init__(self, raw: _cbam.Look) -> None:
        self._raw = raw
        self._maps = Maps(raw)

    @property
    def maps(self) -> Maps:
        """The maps, by name."""
        return self._maps

    @property
    def map(self) -> NDArray[np.float32]:
        """The first of the maps that were asked for."""
        return self._maps[self._raw.asked[0]]

    @property
    def asked(self) -> list[str]:
        """The names of the maps that were asked for; the first is shown where none is named."""
        return self._raw.asked

    @property
    def top(self) -> list[Class]:
        """The five likeliest classes, the likeliest first; none of a network that says nothing of classes."""
        return [Class(*of) for of in self._raw.top]

    @property
    def explained(self) -> Class | None:
        """The class that maps of a class are of."""
        explained = self._raw.explained
        return Class(*explained) if explained else None

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """How likely each class is, ``[classes]``, 0 to 1."""
        return self._raw.probabilities

    @property
    def name(self) -> str:
        """What the picture is called: its path, if it has one."""
        return self._raw.name

    @property
    def size(self) -> tuple[int, int]:
        """The picture's width and height, upright."""
        return self._raw.size

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of what the network took in."""
        return self._raw.input_size

    @property
    def seen(self) -> tuple[int, int, int, int]:
        """The part of the picture that the network saw: left, top, width, height."""
        return self._raw.seen

    @property
    def damage(self) -> str | None:
        """What of the picture is missing or broken, though it was read."""
        return self._raw.damage

    @property
    def notes(self) -> list[str]:
        """What was assumed about the picture, or passed over."""
        return self._raw.notes

    @property
    def picture(self) -> NDArray[Any]:
        """The picture's pixels, upright and in sRGB: ``[H, W, 3]``, with alpha ``[H, W, 4]``, 8 or 16 bits."""
        return self._raw.pixels()

    def statistics(self, map: str | None = None) -> Statistics:
        """Where a map is high, and how concentrated it is."""
        return Statistics(**self._raw.statistics(map or self._raw.asked[0]))

    def overlay(self, map: str | None = None, **style: Any) -> NDArray[Any]:
        """A map over the picture, at the picture's size: ``[H, W, 3]``, or ``[H, W, 4]`` with its alpha; 8 or 16 bits as it has them.

        ``map`` is a name, by default the first that was asked for. ``style`` are the fields of :class:`cbam.Style`.
        """
        drawn = self._raw.overlay(map, styled(style), None)
        assert drawn is not None
        return drawn

    def panel(self, **style: Any) -> NDArray[np.uint8]:
        """The picture, its likeliest classes, its maps and its gates on one sheet, ``[H, W, 3]``. It is looked at once more."""
        drawn = self._raw.panel(styled(style, "legend", "width"), None)
        assert drawn is not None
        return cast("NDArray[np.uint8]", drawn)

    def page(self, *, whole: bool = True) -> str:
        """The interactive page as HTML, which needs nothing beside itself: point at a patch and see where it looks.

        ``whole=False`` leaves out heads and most classes, for a page of some 300 kB. It is looked at once more.
        """
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._raw.html(whole, f"cbam {_cbam.__version__}", now)

    def save(
        self,
        path: str | os.PathLike[str],
        what: Literal["overlay", "panel", "page", "map"] | None = None,
        *,
        map: str | None = None,
        **style: Any,
    ) -> None:
        """Writes a file, whole or not at all.

        ``what`` follows the extension if it is not said: ``.html`` is the page, ``.npy`` the map's numbers, pictures are the overlay.
        ``map`` names the map of an overlay or of numbers, ``style`` are the fields of :class:`cbam.Style`.
        """
        path = os.fspath(path)
        extension = os.path.splitext(path)[1].lower()
        what = what or cast("Any", {".html": "page", ".htm": "page", ".npy": "map"}.get(extension, "overlay"))
        if what in ("page", "map") and style:
            raise ArgumentError(f"{next(iter(style))}: has no effect on a {what}")
        if what in ("page", "panel") and map is not None:
            raise ArgumentError(f"map: has no effect on a {what}, which shows several")
        if what == "overlay":
            self._raw.overlay(map, styled(style), path)
        elif what == "panel":
            self._raw.panel(styled(style, "legend", "width"), path)
        elif what == "page":
            _cbam.write_file(path, self.page().encode())
        elif what == "map":
            numbers = io.BytesIO()
            np.save(numbers, self._maps[map or self._raw.asked[0]])
            _cbam.write_file(path, numbers.getvalue())
        else:
            raise ArgumentError(f"what: {what!r} is none of overlay, panel, page, map")

    def _repr_png_(self) -> bytes:
        return _cbam.png(("overlay", self.overlay(width=min(self.size[0], 800))))

    def _repr_html_(self) -> str:
        """The page in a frame, if a notebook has room for it; else the overlay."""
        for whole in (True, False):
            page = html.escape(self.page(whole=whole), quote=True)
            if len(page.encode()) <= IFRAME_BYTES - 200:
                label = html.escape(f"Attention maps of {self.name}", quote=True)
                return (
                    f'<iframe title="{label}" srcdoc="{page}" sandbox="allow-scripts allow-downloads allow-popups" '
                    'style="width:100%;height:720px;border:1px solid #ccc" loading="lazy"></iframe>'
                )
        return _picture(self._repr_png_(), self.name)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/html": self._repr_html_(), "image/png": self._repr_png_(), "text/plain": repr(self)}

    def __repr__(self) -> str:
        top = f", {self.top[0].label!r} {self.top[0].probability:.1%}" if self.top and self.top[0].probability else ""
        return f"Look({self.name!r}{top}, maps: {', '.join(self.asked)})"


def _picture(png: bytes, name: str) -> str:
    import base64

    return f'<img alt="{html.escape(name, quote=True)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def styled(style: Mapping[str, Any], *without: str) -> Style:
    """Keywords as a style; one that has no effect is an error."""
    for name in without:
        if name in style:
            raise ArgumentError(f"{name}: has no effect on a panel")
    try:
        return Style(**style)
    except TypeError as error:
        known = ", ".join(Style.__dataclass_fields__)
        raise TypeError(f"{str(error).split(') ')[-1].split('() ')[-1]}; a style has {known}") from None


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

    Raises:
        FileError, WeightsError: if the file cannot be read, or is of no network that is known.
        ArgumentError: for an argument that cannot be, or has no effect.

    Warns:
        CbamWarning: of what was taken for granted about the file.
    """

    def __init__(self, weights: str | os.PathLike[str] | None = None, **opening: Any) -> None:
        self._raw = _cbam.Network(weights, Opening.of(opening))
        for note in self._raw.notes:
            warnings.warn(note, CbamWarning, stacklevel=2)

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
    def look(self, picture: Sequence[Any], maps: Any = None, class_: Any = None, **how: Any) -> list[Look]: ...
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
    if look.damage is not None:
        warnings.warn(f"{look.name}: {look.damage}", CbamWarning, stacklevel=4)
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
        weights = os.path.abspath(os.fspath(weights))
        if os.path.exists(weights):
            of = os.stat(weights)
            stamp = (of.st_mtime_ns, of.st_size, of.st_ino)
    key = (weights, stamp, repr(sorted(opening.items())))
    with _lock:
        found = _networks.get(key)
        if found is None:
            found = _networks[key] = Network(weights, **opening)
            while len(_networks) > _MOST_NETWORKS:
                _networks.popitem(last=False)
        _networks.move_to_end(key)
    return found


@overload
def look(picture: Sequence[Any], maps: Any = None, class_: Any = None, weights: Any = None, **how: Any) -> list[Look]: ...
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
    return network(weights, how).look(
        picture, maps, class_, range=range, layout=layout, on_error=on_error, **asked
    )
