"""Any map over any picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import _cbam
from ._look import styled
from ._pictures import Picture, array_of, given
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
    """
    values = array_of(map)
    if values.ndim != 2:
        raise InputError(f"map: has shape {list(values.shape)}; a map is [h, w]")
    return _cbam.overlay(
        given(picture, range, layout), np.ascontiguousarray(values, dtype=np.float32), styled(style)
    )
