"""What a network saw in a picture."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np

from . import _cbam
from ._style import styled
from .errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_BYTES = 500_000
"""The most bytes that the page of a look takes in a notebook."""

_OTHER_FILES = {".html": "page", ".htm": "page", ".npy": "map"}
_WIDTHS = (800, 560, 400, 280, 200)


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
        coverage: the least share of the cells that holds half of the map's sum, 0 to 1.
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

    def get(self, name: str, default: Any = None) -> Any:
        """A map; ``default`` where there is none of that name."""
        try:
            return self[name]
        except ArgumentError:
            return default

    def __repr__(self) -> str:
        return f"Maps({', '.join(self._names)})"


class Look:
    """What a network saw in a picture, kept with the picture. ``cbam.look`` makes it.

    >>> import cbam
    >>> look = cbam.look("assets/images/chelsea.jpg")
    >>> look.top[0].label
    'Egyptian cat'
    >>> look.maps["fused"].shape
    (14, 22)
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
        drawn = self._raw.overlay(map, styled(style, "jpeg_quality", what="an array"), None)
        assert drawn is not None
        return drawn

    def panel(self, **style: Any) -> NDArray[np.uint8]:
        """The picture, its likeliest classes, its maps and its gates on one sheet, ``[H, W, 3]``. It is looked at once more."""
        drawn = self._raw.panel(styled(style, "legend", "width", "jpeg_quality"), None)
        assert drawn is not None
        return cast("NDArray[np.uint8]", drawn)

    def page(self, *, whole: bool = True) -> str:
        """The interactive page as HTML, which needs nothing beside itself: point at a patch and see where it looks.

        ``whole=False`` leaves out heads and most classes, for a page of some 400 kB. It is looked at once more.
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
        path = os.fsdecode(path)
        extension = os.path.splitext(path)[1].lower()
        what = what or cast("Any", _OTHER_FILES.get(extension, "overlay"))
        if what not in ("overlay", "panel", "page", "map"):
            raise ArgumentError(f"what: {what!r} is none of overlay, panel, page, map")
        if what in ("page", "map") and style:
            raise ArgumentError(f"{next(iter(style))}: has no effect on a {what}")
        if what in ("page", "panel") and map is not None:
            raise ArgumentError(f"map: has no effect on a {what}, which shows several")
        if what in ("page", "map") and _OTHER_FILES.get(extension) != what:
            raise ArgumentError(f"{path}: a {what} is written as {'.html' if what == 'page' else '.npy'}")
        if "jpeg_quality" in style and extension not in (".jpg", ".jpeg"):
            raise ArgumentError(f"jpeg_quality: has no effect on {extension or 'a file without extension'}; it is of .jpg")
        if what == "overlay":
            self._raw.overlay(map, styled(style), path)
        elif what == "panel":
            self._raw.panel(styled(style, "legend", "width"), path)
        elif what == "page":
            _cbam.write_file(path, self.page().encode())
        else:
            numbers = io.BytesIO()
            np.save(numbers, self._maps[map or self._raw.asked[0]])
            _cbam.write_file(path, numbers.getvalue())

    def _repr_png_(self) -> bytes:
        return self._png(_WIDTHS[0])

    def _png(self, width: int) -> bytes:
        return _cbam.png(("overlay", self.overlay(width=min(self.size[0], width))))

    def _repr_html_(self) -> str:
        """The page in a frame, if a notebook has room for it; else the overlay."""
        import html

        page = html.escape(self.page(whole=False), quote=True)
        if len(page.encode()) <= FRAME_BYTES - 1000:
            label = html.escape(f"Attention maps of {self.name}"[:100], quote=True)
            return (
                f'<iframe title="{label}" srcdoc="{page}" sandbox="allow-scripts allow-downloads allow-popups" '
                'style="width:100%;height:720px;border:1px solid #ccc" loading="lazy"></iframe>'
            )
        pictures = (_picture(self._png(width), self.name[:100]) for width in _WIDTHS)
        return next(picture for picture in pictures if len(picture) <= FRAME_BYTES - 1000)

    def _repr_mimebundle_(self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None) -> dict[str, Any]:
        made = {"text/html": self._repr_html_, "image/png": self._repr_png_, "text/plain": self.__repr__}
        wanted = set(include or made) - set(exclude or ())
        return {kind: make() for kind, make in made.items() if kind in wanted}

    def __repr__(self) -> str:
        top = f", {self.top[0].label!r} {self.top[0].probability:.1%}" if self.top and self.top[0].probability else ""
        return f"Look({self.name!r}{top}, maps: {', '.join(self.asked)})"


def _picture(png: bytes, name: str) -> str:
    import base64
    import html

    return f'<img alt="{html.escape(name, quote=True)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
