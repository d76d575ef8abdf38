"""Class activation maps, and maps by perturbation, of a PyTorch model of your own.

Python runs the model: it fetches features and their gradients by the user's own autograd. The core computes every map from them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from . import _cbam
from ._draw import overlay
from ._pictures import Picture
from ._trace import tensors
from ._watch import _inside as inside
from ._watch import watch
from .errors import ArgumentError, CbamWarning, InputError, NetworkError

Target: TypeAlias = "int | Sequence[int] | Callable[[Any], torch.Tensor] | None"
"""A class; one for each picture; a function of what the model gives out that returns one number for each picture; or ``None`` for
each picture's likeliest class."""

# Whether each follows a gradient, looks at features, and runs the model many times.
METHODS = {name: facts for name, *facts in _cbam.methods()}


class Explanation:
    """Maps of a batch of pictures for a decision of a model.

    Attributes:
        maps: ``[N, h, w]``, ``float32``, at least 0 and unscaled, on the grid of the layer; of ``occlusion`` and ``rise`` on their own.
        method: how they were made.
        layer: the module whose features they are of; ``None`` of methods that look at no features.
        classes: the class that each is of; ``None`` where a function was the target.
    """

    def __init__(
        self, maps: NDArray[np.float32], method: str, layer: str | None, classes: list[int] | None
    ) -> None:
        self.maps, self.method, self.layer, self.classes = maps, method, layer, classes

    def overlay(self, picture: Picture, number: int = 0, **style: Any) -> NDArray[Any]:
        """A picture's map over the picture; see :func:`cbam.overlay`."""
        return overlay(picture, self.maps[number], **style)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.maps, dtype=dtype) if copy else np.asarray(self.maps, dtype=dtype)

    def __repr__(self) -> str:
        at = f" at {self.layer}" if self.layer else ""
        return f"Explanation({self.method}{at}, {list(self.maps.shape)})"


@dataclass(frozen=True)
class _How:
    """What the core is told about a picture."""

    method: str
    place: str
    class_: int
    numbers: int
    outputs: str
    batch: int
    masks: int
    seed: int
    window: int
    stride: int


@dataclass
class _Layer:
    """A module whose features are looked at, and how they lie: as maps, channels last, or as tokens of a grid."""

    path: str
    module: nn.Module
    form: Literal["maps", "channels_last", "tokens"]
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


class _Swap:
    """What a module gives out, with its features changed on the way by ``change``."""

    def __init__(self, layer: _Layer, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._layer, self._change = layer, change

    def __enter__(self) -> None:
        self._handle = self._layer.module.register_forward_hook(self._hook)

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _hook(self, _: nn.Module, __: Any, output: Any) -> Any:
        return _with_features(output, self._layer, self._change)


def _with_features(output: Any, layer: _Layer, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    sides = 3 if layer.form == "tokens" else 4
    if isinstance(output, torch.Tensor):
        if output.ndim != sides:
            raise InputError(f"layer: {layer.path} gives out {list(output.shape)}, and features have {sides} sides")
        return change(output)
    if isinstance(output, tuple):
        return tuple(
            _with_features(item, layer, change) if number == 0 else item for number, item in enumerate(output)
        )
    raise InputError(f"layer: {layer.path} gives out {type(output).__name__}, which is no tensor of features")


class _Model:
    """The user's model at one layer, for one batch of pictures: what the core asks is answered for one of them."""

    def __init__(self, model: nn.Module, pictures: torch.Tensor, layer: _Layer | None, target: Target) -> None:
        self.model, self.pictures, self.layer, self.target = model, pictures, layer, target
        self.number = 0
        self.classes: list[int] | None = None
        self._features: torch.Tensor | None = None
        self._gradient: torch.Tensor | None = None

    def numbers_of(self, output: Any) -> torch.Tensor:
        """What the model says of classes, ``[N, numbers]``, or what the target makes of its output, ``[N, 1]``."""
        if callable(self.target):
            score = self.target(output)
            if not isinstance(score, torch.Tensor) or score.numel() != len(self._leading(output)):
                raise ArgumentError("target: a function gives one number for each picture, as a tensor [N]")
            return score.reshape(-1, 1)
        return self._leading(output)

    @staticmethod
    def _leading(output: Any) -> torch.Tensor:
        logits = getattr(output, "logits", None)
        if logits is None and isinstance(output, dict):
            logits = output.get("logits")
        found = logits if isinstance(logits, torch.Tensor) else next(tensors(output), None)
        if found is None:
            raise NetworkError("the model gives out no tensor")
        return found

    def run(self, pictures: torch.Tensor) -> torch.Tensor:
        """The model's numbers for pictures, ``[N, numbers]``."""
        numbers = self.numbers_of(self.model(pictures))
        if numbers.ndim != 2:
            raise ArgumentError(
                f"target: the model gives out {list(numbers.shape)}, and not [N, classes]; give a function of its output, such as "
                "target=lambda output: output[:, 3].mean((1, 2))"
            )
        return numbers

    def answers(self) -> tuple[int, str]:
        """Runs the model once, and settles the class of each picture; how many numbers it has, and what they are."""
        with torch.no_grad():
            numbers = self._look()
        count = numbers.shape[1]
        if callable(self.target):
            return count, "score"
        answers = 2 if count == 1 else count
        if self.target is None:
            chosen = (numbers[:, 0] > 0).long() if count == 1 else numbers.argmax(1)
            self.classes = [int(of) for of in chosen]
        else:
            wanted = [self.target] * len(self.pictures) if isinstance(self.target, int) else list(self.target)
            self.classes = [int(of) for of in wanted]
            if len(self.classes) != len(self.pictures):
                raise ArgumentError(f"target: {len(self.classes)} classes for {len(self.pictures)} pictures")
        for number in self.classes:
            if not 0 <= number < answers:
                raise ArgumentError(f"target: {number} is none of the model's classes, 0 to {answers - 1}")
        return count, "sigmoid" if count == 1 else "softmax"

    def _look(self) -> torch.Tensor:
        if self.layer is None:
            return self.run(self.pictures)

        def keep(features: torch.Tensor) -> torch.Tensor:
            self._features = features.detach()
            return features

        with _Swap(self.layer, keep):
            return self.run(self.pictures)

    def follow(self) -> None:
        """The slopes of every picture's score at the layer, by one pass forward and one back."""
        assert self.layer is not None
        leaves: list[torch.Tensor] = []

        def leaf(features: torch.Tensor) -> torch.Tensor:
            leaves.append(features.detach().requires_grad_())
            # So that operations that write over it do not write over a leaf.
            return leaves[-1] * 1

        with torch.enable_grad(), _Swap(self.layer, leaf):
            numbers = self.run(self.pictures)
            if self.classes is None:
                score = numbers.sum()
            elif numbers.shape[1] == 1:
                signs = torch.tensor([1.0 if of else -1.0 for of in self.classes], device=numbers.device)
                score = (numbers[:, 0] * signs).sum()
            else:
                score = numbers[torch.arange(len(numbers), device=numbers.device), self.classes].sum()
            if not leaves:
                raise InputError(f"layer: {self.layer.path} did not run")
            (gradient,) = torch.autograd.grad(score, leaves[-1], allow_unused=True)
        if gradient is None:
            raise ArgumentError(f"layer: the score does not depend on what {self.layer.path} gives out")
        self._features, self._gradient = leaves[-1].detach(), gradient.detach()

    # What the core asks.

    def logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            return _numpy(self.run(self._like(torch.from_numpy(pixels), self.pictures)))

    def logits_from(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self.layer is not None and self._features is not None
        layer, kept = self.layer, self._features[self.number : self.number + 1]
        given = layer.from_maps(self._like(torch.from_numpy(maps), kept), kept)
        pictures = self.pictures[self.number : self.number + 1].expand(len(given), *self.pictures.shape[1:])
        with torch.no_grad(), _Swap(layer, lambda _: given.clone()):
            return _numpy(self.run(pictures))

    def features(self) -> NDArray[np.float32]:
        assert self.layer is not None and self._features is not None
        return _numpy(self.layer.to_maps(self._features)[self.number])

    def slope(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        assert self.layer is not None and self._gradient is not None
        return self.features(), _numpy(self.layer.to_maps(self._gradient)[self.number])

    @staticmethod
    def _like(tensor: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return tensor.to(device=other.device, dtype=other.dtype)


def explain(
    model: nn.Module,
    pictures: torch.Tensor,
    method: str = "gradcam",
    target: Target = None,
    layer: str | nn.Module | None = None,
    *,
    batch: int = 16,
    masks: int = 1000,
    seed: int = 0,
    window: int = 32,
    stride: int = 16,
) -> Explanation:
    """What in pictures speaks for a decision of a model.

    Args:
        model: any module, in ``eval()``; it is unchanged afterwards.
        pictures: ``[N, C, H, W]`` (or one, ``[C, H, W]``) as the model takes them: normalised, on its device, in its dtype.
        method: ``gradcam``, ``gradcam++``, ``hirescam``, ``layercam``, ``xgradcam`` (one pass forward and back), ``eigencam`` (forward),
            ``scorecam``, ``ablationcam``, ``occlusion``, ``rise`` (many passes forward).
        target: see :data:`Target`.
        layer: the module, or its path, whose features are looked at; by default the last that has positions.
        batch: the most pictures that the model takes at once in methods of many passes.
        masks, seed: of ``rise``: how many masks, and what they are drawn from.
        window, stride: of ``occlusion``: the side of the grey square and its step, in pixels.

    Returns:
        An :class:`Explanation`, whose ``maps`` are ``[N, h, w]``.

    Raises:
        ArgumentError, InputError: for what cannot be; the message says what would do.
    """
    model = inside(model)
    if method not in METHODS or method == "relevance":
        known = ", ".join(name for name in METHODS if name != "relevance")
        raise ArgumentError(f"method: {method!r} is none of {known}")
    needs_gradient, needs_features, _ = METHODS[method]
    if not isinstance(pictures, torch.Tensor) or pictures.ndim not in (3, 4):
        shape = list(getattr(pictures, "shape", []))
        raise InputError(f"pictures: are {type(pictures).__name__} {shape}; they are a tensor [N, C, H, W]")
    pictures = pictures[None] if pictures.ndim == 3 else pictures
    if not needs_features and layer is not None:
        raise ArgumentError(f"layer: has no effect; {method} looks at no features")
    if callable(target) and method in ("occlusion", "rise"):
        raise ArgumentError(f"target: {method} measures a class's probability, and a function gives none")
    if model.training:
        warnings.warn(
            "the model is in training mode: dropout and batch statistics change what it says; call model.eval()",
            CbamWarning,
            stacklevel=2,
        )
    found = _layer(model, pictures, layer) if needs_features else None
    run = _Model(model, pictures, found, target)
    numbers, outputs = run.answers()
    if needs_gradient:
        run.follow()
    maps: list[NDArray[np.float32]] = []
    for number in range(len(pictures)):
        run.number = number
        class_ = run.classes[number] if run.classes is not None else 0
        path = found.path if found is not None else ""
        how = _How(method, path, class_, numbers, outputs, batch, masks, seed, window, stride)
        maps.append(_cbam.explain(run, _numpy(pictures[number]), how))
    return Explanation(np.stack(maps), method, found.path if found else None, run.classes)


def _layer(model: nn.Module, pictures: torch.Tensor, wanted: str | nn.Module | None) -> _Layer:
    """The layer that is asked for, or the model's own, found in what it runs."""
    modules = dict(model.named_modules())
    with torch.no_grad(), watch(model) as watched:
        model(pictures[:1])
    found = watched.seen._found
    places = found.places
    if wanted is None:
        if found.default_place is None:
            raise ArgumentError("layer: no features with positions were found; name the module that gives them out")
        for place in [places[found.default_place], *reversed(places[: found.default_place])]:
            for path in place.names:
                if path in modules and place.form == places[found.default_place].form:
                    return _Layer(path, modules[path], place.form, place.grid, place.before)
        raise ArgumentError("layer: no module gives out the last features that have positions; name one")
    if isinstance(wanted, nn.Module):
        path = next((path for path, module in modules.items() if module is wanted), None)
        if path is None:
            raise ArgumentError(f"layer: {type(wanted).__name__} is no module of this model")
    else:
        path = wanted
        if path not in modules:
            import difflib

            near = difflib.get_close_matches(path, modules, 3)
            raise ArgumentError(f"layer: the model has no module {path!r}" + (f"; near it are {', '.join(near)}" if near else ""))
    for place in places:
        if path in place.names:
            return _Layer(path, modules[path], place.form, place.grid, place.before)
    return _Layer(path, modules[path], "maps")


def _numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().to("cpu", torch.float32).numpy())
