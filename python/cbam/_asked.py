"""What is said of a weights file, and what a network is asked, as the extension takes them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from .errors import ArgumentError


def _whole(value: Any) -> int:
    number = operator.index(value)
    if number < 0:
        raise ValueError
    return number


def _flag(value: Any) -> bool:
    if value not in (True, False):
        raise ValueError
    return bool(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _three(value: Any) -> tuple[float, float, float]:
    red, green, blue = value
    return float(red), float(green), float(blue)


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise TypeError
    return tuple(str(name) for name in value)


_KINDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "int": (_whole, "a whole number from 0"),
    "float": (float, "a number"),
    "bool": (_flag, "True or False"),
    "str": (_text, "text"),
    "tuple[float, float, float]": (_three, "three numbers, for red, green and blue"),
    "tuple[str, ...]": (_names, "a list of names"),
}
"""What stands for each kind of field, and how it is said."""


def checked(kind: type[Any], given: Mapping[str, Any], but: Sequence[str] = ()) -> dict[str, Any]:
    """Keywords as a dataclass's fields have them. The types of fields are read as they are written."""
    known = {field.name: str(field.type) for field in fields(kind) if field.name not in but}
    taken: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise TypeError(f"{name!r} is no argument; there are {', '.join(known)}")
        wanted, _, may_be_none = known[name].partition(" | ")
        if value is None and may_be_none:
            taken[name] = None
            continue
        convert, what = _KINDS[wanted]
        try:
            taken[name] = convert(value)
        except (TypeError, ValueError, OverflowError):
            raise ArgumentError(f"{name}: {value!r} is not {what}") from None
    return taken


def said(of: Opening | Asked, but: Sequence[str] = ()) -> dict[str, Any]:
    """The fields that are not as they would be by themselves."""
    all_fields = {field.name: (getattr(of, field.name), field.default) for field in fields(of) if field.name not in but}
    return {name: value for name, (value, default) in all_fields.items() if value != default}


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
    labels: tuple[str, ...] | None = None
    size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    channels: str | None = None
    square: bool = False
    outputs: str | None = None
    precision: str = "f32"

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Opening:
        """As keywords say it."""
        return cls(**checked(cls, given))


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
        """As keywords say it; one that has no effect is an error."""
        how = checked(cls, how, ("maps", "class_"))
        names = _map_names(maps)
        for word, methods in cls.OF.items():
            if word in how and not any(name.split(":")[0].strip().lower() in methods for name in names):
                raise ArgumentError(f"{word}: has no effect; it is for maps={methods[0]!r}")
        return cls(names, _class(class_), **how)


def _map_names(maps: Any) -> list[str]:
    if maps is None or isinstance(maps, str):
        return [] if maps is None else [maps]
    try:
        names = [_text(name) for name in maps]
    except TypeError:
        raise ArgumentError(f"maps: {maps!r} is no name of a map, and no list of such") from None
    if not names:
        raise ArgumentError("maps: is empty; leave it out for the network's own")
    return names


def _class(wanted: Any) -> int | str | None:
    if wanted is None or isinstance(wanted, str):
        return wanted
    try:
        return _whole(wanted)
    except (TypeError, ValueError):
        raise ArgumentError(f"class_: {wanted!r} is neither a class's name nor its number, which counts from 0") from None
