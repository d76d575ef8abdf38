"""Class activation maps, and maps by perturbation, of a PyTorch model of your own.

Python runs the model: it fetches features and their gradients by the user's own autograd. The core computes every map from them.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from . import _cbam
from ._draw import overlay
from ._layer import Layer, Swap, layer_of
from ._pictures import Picture
from ._trace import tensors
from ._watch import inside
from .errors import ArgumentError, InputError, NetworkError, warn

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


class _Model:
    """The user's model at one layer, for one batch of pictures: what the core asks is answered for one of them."""

    def __init__(self, model: nn.Module, pictures: torch.Tensor, layer: Layer | None, target: Target) -> None:
        self.model, self.pictures, self.layer, self.target = model, pictures, layer, target
        self.number = 0
        self._runs: int | None = None  # of the layer in a pass; its features are those of the last one
        self.classes: list[int] | None = None
        self._features: torch.Tensor | None = None
        self._gradient: torch.Tensor | None = None

    def run(self, pictures: torch.Tensor) -> torch.Tensor:
        """What the model says of classes, ``[N, numbers]``, or what the target makes of its output, ``[N, 1]``."""
        output = self.model(pictures)
        if callable(self.target):
            score: Any = self.target(output)
            if not isinstance(score, torch.Tensor) or score.numel() != len(pictures):
                got = list(score.shape) if isinstance(score, torch.Tensor) else type(score).__name__
                raise ArgumentError(f"target: a function gives one number for each picture, as a tensor [N]; this gives {got}")
            return score.reshape(-1, 1)
        numbers = leading(output)
        if numbers.ndim != 2 or len(numbers) != len(pictures):
            raise ArgumentError(
                f"target: the model gives out {list(numbers.shape)}, and not [N, classes]; give a function of its output, such as "
                "target=lambda output: output[:, 3].mean((1, 2))"
            )
        return numbers

    def look(self, slopes: bool) -> tuple[int, str]:
        """Runs the model, and settles the class of each picture; how many numbers it has, and what they are.

        With ``slopes`` of every picture's score at the layer, by one pass forward, and back to the layer.
        """
        if slopes:
            numbers = self._follow()
        else:
            with torch.no_grad():
                numbers = self.run(self.pictures) if self.layer is None else self._kept(self.layer)
            self._choose(numbers)
        if callable(self.target):
            return numbers.shape[1], "score"
        return numbers.shape[1], "sigmoid" if numbers.shape[1] == 1 else "softmax"

    def _kept(self, layer: Layer) -> torch.Tensor:
        """What the model says; the layer's features are kept."""

        def keep(features: torch.Tensor) -> torch.Tensor:
            # What comes after it may write over it.
            self._features = features.detach().clone()
            return features

        with Swap(layer, keep) as swap:
            numbers = self.run(self.pictures)
        self._runs = swap.runs
        if self._features is None:
            raise InputError(f"layer: {layer.path} did not run")
        return numbers

    def _choose(self, numbers: torch.Tensor) -> None:
        """The class of each picture."""
        if callable(self.target):
            return
        count = numbers.shape[1]
        if self.target is None:
            chosen = (numbers[:, 0] > 0).long() if count == 1 else numbers.argmax(1)
            self.classes = cast("list[int]", chosen.tolist())  # pyright: ignore[reportUnknownMemberType]
            return
        self.classes = _classes(self.target, len(self.pictures))
        answers = 2 if count == 1 else count
        for number in self.classes:
            if not 0 <= number < answers:
                raise ArgumentError(f"target: {number} is none of the model's classes, 0 to {answers - 1}")

    def _follow(self) -> torch.Tensor:
        """What the model says; its slopes at the layer are kept. Before the layer nothing is kept for them."""
        assert self.layer is not None
        numbers, leaf = self._from_leaf(later=True)
        if not numbers.requires_grad:
            # The model turns gradients on and off by itself.
            numbers, leaf = self._from_leaf(later=False)
        if leaf is None:
            raise InputError(f"layer: {self.layer.path} did not run")
        self._choose(numbers)
        gradient = None
        if numbers.requires_grad:
            with torch.enable_grad():
                score = self._score(numbers)
            (gradient,) = cast("tuple[torch.Tensor | None]", torch.autograd.grad(score, leaf, allow_unused=True))
        if gradient is None:
            raise ArgumentError(f"layer: the score does not depend on what {self.layer.path} gives out, or has no gradient there")
        self._features, self._gradient = leaf.detach(), gradient.detach()
        return numbers.detach()

    def _from_leaf(self, later: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What the model says, as a function of the layer's features; ``later``: gradients are on from the layer on only."""
        assert self.layer is not None
        leaves: list[torch.Tensor] = []

        def leaf(features: torch.Tensor) -> torch.Tensor:
            torch.set_grad_enabled(True)
            leaves.append(features.detach().requires_grad_())
            # So that operations that write over it do not write over a leaf.
            return leaves[-1].clone()

        with torch.set_grad_enabled(not later), Swap(self.layer, leaf):
            return self.run(self.pictures), leaves[-1] if leaves else None

    def _score(self, numbers: torch.Tensor) -> torch.Tensor:
        if self.classes is None:
            return numbers.sum()
        if numbers.shape[1] == 1:
            signs = torch.tensor([1.0 if of else -1.0 for of in self.classes], device=numbers.device)
            return (numbers[:, 0] * signs).sum()
        return numbers[torch.arange(len(numbers), device=numbers.device), self.classes].sum()

    # What the core asks.

    def logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            return _numpy(self.run(_like(pixels, self.pictures)))

    def logits_from(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self.layer is not None and self._features is not None
        layer, kept = self.layer, self._features[self.number : self.number + 1]
        given = layer.from_maps(_like(maps, kept), kept)
        pictures = self.pictures[self.number : self.number + 1].expand(len(given), *self.pictures.shape[1:])

        def instead(_: torch.Tensor) -> torch.Tensor:
            return given.clone()

        with torch.no_grad(), Swap(layer, instead, self._runs):
            return _numpy(self.run(pictures))

    def features(self) -> NDArray[np.float32]:
        return self._maps_of(self._features)

    def slope(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self.features(), self._maps_of(self._gradient)

    def _maps_of(self, features: torch.Tensor | None) -> NDArray[np.float32]:
        assert self.layer is not None and features is not None
        return _numpy(self.layer.to_maps(features[self.number : self.number + 1])[0])


def leading(output: Any) -> torch.Tensor:
    """What a model says of classes: its ``logits``, or the first tensor that it gives out."""
    logits: Any = getattr(output, "logits", None)
    if logits is None and isinstance(output, Mapping):
        logits = cast("Mapping[Any, Any]", output).get("logits")
    found = logits if isinstance(logits, torch.Tensor) else next(tensors(output), None)
    if found is None:
        raise NetworkError("the model gives out no tensor")
    return found


def _classes(target: Any, count: int) -> list[int]:
    """The class of each picture, as the user says it."""
    try:
        try:
            classes = [operator.index(target)] * count
        except TypeError:
            classes = [operator.index(of) for of in target]
    except TypeError:
        raise ArgumentError(f"target: {target!r} is no class, no list of classes, and no function; a class is its number") from None
    if len(classes) != count:
        raise ArgumentError(f"target: {len(classes)} classes for {count} pictures")
    return classes


@contextlib.contextmanager
def _unchanged(model: nn.Module) -> Generator[None, None, None]:
    """Leaves the statistics that a model in training mode gathers as they were."""
    training = any(module.training for module in model.modules())
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()] if training else []
    # Of what is made in inference mode nothing has a gradient.
    with torch.inference_mode(False):
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, before in kept:
                    buffer.copy_(before)


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
    pictures = _batch(pictures)
    if not needs_features and layer is not None:
        raise ArgumentError(f"layer: has no effect; {method} looks at no features")
    if callable(target) and not needs_features:
        raise ArgumentError(f"target: {method} measures a class's probability, and a function gives none")
    options = {"batch": batch, "masks": masks, "seed": seed, "window": window, "stride": stride}
    for name, value in options.items():
        options[name] = _whole(name, value)
    if any(module.training for module in model.modules()):
        warn("the model is in training mode: dropout and batch statistics change what it says; call model.eval()")
    with _unchanged(model):
        pictures = pictures.clone() if pictures.is_inference() else pictures
        found = layer_of(model, pictures, layer) if needs_features else None
        run = _Model(model, pictures, found, target)
        numbers, outputs = run.look(needs_gradient)
        path = found.path if found is not None else ""
        maps: list[NDArray[np.float32]] = []
        for run.number, picture in enumerate(pictures):
            class_ = run.classes[run.number] if run.classes is not None else 0
            how = _How(method, path, class_, numbers, outputs, **options)
            maps.append(_cbam.explain(run, _numpy(picture), how))
    return Explanation(np.stack(maps), method, found.path if found else None, run.classes)


def _batch(pictures: Any) -> torch.Tensor:
    """Pictures as ``[N, C, H, W]``."""
    if not isinstance(pictures, torch.Tensor) or pictures.ndim not in (3, 4) or not len(pictures):
        shape = list(getattr(pictures, "shape", []))
        raise InputError(
            f"pictures: are {type(pictures).__name__} {shape}; they are a tensor [N, C, H, W], as the model takes it: "
            "normalised, on its device"
        )
    return pictures[None] if pictures.ndim == 3 else pictures


def _whole(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if number < 0:
        raise ArgumentError(f"{name}: {value!r} is not a whole number from 0")
    return number


def _like(array: NDArray[np.float32], other: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(array).to(device=other.device, dtype=other.dtype)


def _numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().to("cpu", torch.float32).numpy())
