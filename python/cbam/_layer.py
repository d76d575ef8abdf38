"""The layers of a PyTorch model whose features are looked at: where they are, how their features lie, and how features are changed."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import nn

from ._watch import watch
from .errors import ArgumentError, InputError

Form = Literal["maps", "channels_last", "tokens"]
Change = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Layer:
    """A module whose features are looked at, and how they lie: as maps, channels last, or as tokens of a grid."""

    path: str
    module: nn.Module
    form: Form
    grid: tuple[int, int] = (0, 0)
    before: int = 0

    def to_maps(self, features: torch.Tensor) -> torch.Tensor:
        """Features as ``[N, C, h, w]``."""
        if self.form == "channels_last":
            return features.permute(0, 3, 1, 2)
        if self.form == "tokens":
            rows, columns = self.grid
            patches = features[:, self.before : self.before + rows * columns]
            return patches.transpose(1, 2).reshape(len(features), -1, rows, columns)
        return features

    def from_maps(self, maps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Maps ``[N, C, h, w]`` in the place of features; tokens that are no patches stay as they are."""
        if self.form == "channels_last":
            return maps.permute(0, 2, 3, 1)
        if self.form == "tokens":
            rows, columns = self.grid
            tokens = like[:1].expand(len(maps), -1, -1).clone()
            tokens[:, self.before : self.before + rows * columns] = maps.flatten(2).transpose(1, 2)
            return tokens
        return maps


class Swap:
    """While it is open, what a module gives out has its features changed on the way by ``change``.

    ``only`` is which of its runs is meant, where it runs several times in a pass; ``runs`` counts them.
    """

    def __init__(self, layer: Layer, change: Change, only: int | None = None) -> None:
        self._layer, self._change, self._only, self.runs = layer, change, only, 0

    def __enter__(self) -> Swap:
        self._handle = self._layer.module.register_forward_hook(self._hook)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _hook(self, _: nn.Module, __: Any, output: Any) -> Any:
        self.runs += 1
        if self._only not in (None, self.runs):
            return output
        if isinstance(output, tuple) and output:
            first, *others = cast("tuple[Any, ...]", output)
            return (self._changed(first), *others)
        return self._changed(output)

    def _changed(self, features: Any) -> torch.Tensor:
        path, sides = self._layer.path, 3 if self._layer.form == "tokens" else 4
        if not isinstance(features, torch.Tensor):
            raise InputError(f"layer: {path} gives out {type(features).__name__}, which is no tensor of features")
        if features.ndim != sides:
            raise InputError(
                f"layer: {path} gives out {list(features.shape)}, and features that have positions have {sides} sides; name another"
            )
        return self._change(features)


class _Place(NamedTuple):
    """Features of one pass: the modules that give them out, and how they lie."""

    names: list[str]
    form: Form
    grid: tuple[int, int]
    before: int


class _Places(NamedTuple):
    all: list[_Place]
    default: int | None


_seen: weakref.WeakKeyDictionary[nn.Module, dict[Any, _Places]] = weakref.WeakKeyDictionary()
"""What was found in models, as long as they live and are the same."""

_MOST_SHAPES = 8


def layer_of(model: nn.Module, pictures: torch.Tensor, wanted: str | nn.Module | None) -> Layer:
    """The layer that is asked for, or the model's own: the last that has positions."""
    modules = dict(cast("Iterable[tuple[str, nn.Module]]", model.named_modules()))
    path = None if wanted is None else _path(modules, wanted)
    places = _places(model, modules, pictures)
    if path is None:
        return _own(modules, places)
    for place in reversed(places.all):
        if path in place.names:
            return Layer(path, modules[path], place.form, place.grid, place.before)
    return Layer(path, modules[path], "maps")


def _path(modules: dict[str, nn.Module], wanted: str | nn.Module) -> str:
    if isinstance(wanted, nn.Module):
        for path, module in modules.items():
            if module is wanted:
                return path
        raise ArgumentError(f"layer: {type(wanted).__name__} is no module of this model")
    if wanted not in modules:
        near = difflib.get_close_matches(str(wanted), modules, 3)
        raise ArgumentError(f"layer: the model has no module {wanted!r}" + (f"; near it are {', '.join(near)}" if near else ""))
    return wanted


def _own(modules: dict[str, nn.Module], places: _Places) -> Layer:
    if places.default is None:
        raise ArgumentError("layer: no features with positions were found; name the module that gives them out")
    last = places.all[places.default]
    for place in [last, *reversed(places.all[: places.default])]:
        for path in place.names:
            if path in modules and place.form == last.form:
                return Layer(path, modules[path], place.form, place.grid, place.before)
    raise ArgumentError("layer: no module gives out the last features that have positions; name one")


def _places(model: nn.Module, modules: dict[str, nn.Module], pictures: torch.Tensor) -> _Places:
    """Where features with positions are, which one pass of one picture shows."""
    made_of = tuple((path, id(module), type(module)) for path, module in modules.items())
    key = (tuple(pictures.shape[1:]), model.training, hash(made_of))
    known = _seen.setdefault(model, {})
    found = known.get(key)
    if found is None:
        with torch.no_grad(), watch(model) as watched:
            model(pictures[:1])
        raw = watched.seen._found  # pyright: ignore[reportPrivateUsage]
        places = [_Place(list(of.names), of.form, of.grid, of.before) for of in raw.places]
        found = _Places(places, raw.default_place)
        if len(known) >= _MOST_SHAPES:
            known.clear()
        known[key] = found
    return found
