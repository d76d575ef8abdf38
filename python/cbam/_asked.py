"""What is said of a weights file, and what a network is asked, as the extension takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from .errors import ArgumentError


def _keywords(kind: type[Any], given: Mapping[str, Any], but: Sequence[str] = ()) -> None:
    known = [field.name for field in fields(kind) if field.name not in but]
    for name in given:
        if name not in known:
            raise TypeError(f"{name!r} is no argument; there are {', '.join(known)}")


@dataclass(frozen=True)
class Opening:
    """How a weights file is opened; see :class:`cbam.Network`."""

    arch: str | None = None
    drop_attention: bool = False
    part: str | None = None
    stride_in: str | None = None
    pool_order: str | None = None
    max_pool: bool | None = None
    symmetric: bool | None = None
    labels: list[str] | None = None
    size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    channels: str | None = None
    square: bool = False
    outputs: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Opening:
        _keywords(cls, given)
        labels = given.get("labels")
        return cls(**{**given, "labels": None if labels is None else [str(label) for label in labels]})


@dataclass(frozen=True)
class Asked:
    """What a network is asked about pictures; see :func:`cbam.look`."""

    maps: list[str]
    class_: int | str | None = None
    size: int | None = None
    masks: int = 1000
    seed: int = 0
    window: int = 32
    stride: int = 16

    WORDS: ClassVar[tuple[str, ...]] = ("size", "masks", "seed", "window", "stride")
    OF: ClassVar[dict[str, tuple[str, ...]]] = {
        "masks": ("rise",),
        "seed": ("rise",),
        "window": ("occlusion",),
        "stride": ("occlusion",),
    }

    @classmethod
    def of(cls, maps: str | Sequence[str] | None, class_: int | str | None, how: Mapping[str, Any]) -> Asked:
        _keywords(cls, how, ("maps", "class_"))
        names = [maps] if isinstance(maps, str) else [] if maps is None else list(maps)
        if maps is not None and not names:
            raise ArgumentError("maps: is empty; leave it out for the network's own")
        for word, methods in cls.OF.items():
            if word in how and not any(name.split(":")[0].strip().lower() in methods for name in names):
                raise ArgumentError(f"{word}: has no effect; it is for maps={methods[0]!r}")
        if class_ is not None and not isinstance(class_, str):
            class_ = class_.__index__()
            if class_ < 0:
                raise ArgumentError(f"class_: {class_} is no number of a class, which count from 0")
        return cls(names, class_, **how)
