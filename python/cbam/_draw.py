"""Any map over any picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import _cbam
from ._pictures import Picture, array_of, given
from ._style import styled
from .errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def overlay(
    picture: Picture,
    map: Any,
    *,
    range: tuple[float, float] | None = None,
    layout: Literal["HWC", "CHW"] | None = None,
    **style: Any,
) -> NDArray[Any]:
    """A map of your own over a picture, at the picture's size.

    Args:
        picture: as :func:`cbam.look` takes it.
        map: ``[h, w]``, at least 0, on any grid over the whole picture; an array or a tensor on the CPU.
        range, layout: of a picture that is an array, as for :func:`cbam.look`.
        style: the fields of :class:`cbam.Style`.

    Returns:
        ``[H, W, 3]``, or ``[H, W, 4]`` with the picture's alpha.

    Raises:
        InputError: for a map that is not ``[h, w]``, not finite, or has values below 0.

    Example:
        >>> import cbam, numpy
        >>> cbam.overlay("assets/images/coffee.jpg", numpy.eye(7), colormap="magma").shape
        (400, 600, 3)
    """
    look = styled(style, "jpeg_quality", "legend", what="an array")
    return _cbam.overlay(given(picture, range, layout), _map_of(map), look)


def _map_of(value: Any) -> NDArray[np.float32]:
    """A map ``[h, w]`` of finite numbers from 0."""
    values = array_of(value, "map")
    if values.ndim != 2 or values.size == 0:
        raise InputError(f"map: has shape {list(values.shape)}; a map is [h, w]")
    if values.dtype.kind not in "fiub":
        raise InputError(f"map: is of {values.dtype}; a map is of numbers")
    least, greatest = float(values.min()), float(values.max())
    if not (least >= 0 and greatest <= np.finfo(np.float32).max):  # NaN is none of that either
        raise InputError(
            f"map: has values from {least:g} to {greatest:g}; a map is finite and at least 0, as numpy.maximum(map, 0) is"
        )
    return np.ascontiguousarray(values, dtype=np.float32)
