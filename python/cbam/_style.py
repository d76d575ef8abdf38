"""How maps are laid over pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._asked import checked
from .errors import ArgumentError


@dataclass(frozen=True)
class Style:
    """How a map is laid over its picture; ``Look.overlay``, ``Look.save`` and ``cbam.overlay`` take these as keywords.

    Attributes:
        colormap: the colours: ``turbo``, ``viridis``, ``inferno``, ``magma``, ``plasma``, ``cividis``, …
        alpha: the strength, 0 to 1; 0 is the picture itself.
        opacity: ``attention``, where the strength grows with the map (``alpha · value^0.6``), or ``constant``.
        contour: a line around the highest part that holds this share of the map's sum, 0 to 1.
        resample: how the map is brought to the picture's size: ``bicubic``, ``bilinear`` or ``nearest``.
        refine: takes the map along the picture's edges (guided filter), finer than the network sees.
        scale: what spans the colours: ``image`` (the map's least and greatest value), ``percentile:LOW,HIGH`` or ``fixed:LOW,HIGH``.
        legend: a strip below that names the map, the class and the scale.
        width: the width in pixels, instead of the picture's.
        jpeg_quality: of JPEG files, 1 to 100.
    """

    colormap: str = "turbo"
    alpha: float = 0.75
    opacity: str = "attention"
    contour: float | None = None
    resample: str = "bicubic"
    refine: bool = False
    scale: str = "image"
    legend: bool = False
    width: int | None = None
    jpeg_quality: int = 90


def styled(style: Mapping[str, Any], *without: str, what: str = "a panel") -> Style:
    """Keywords as a style; those of ``without`` have no effect on ``what``, which is an error."""
    for name in without:
        if name in style:
            raise ArgumentError(f"{name}: has no effect on {what}")
    return Style(**checked(Style, style))
