"""Pictures of what a model looks at, drawn as it trains.

>>> import torch
>>> from cbam.training import Pictures
>>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Flatten(), torch.nn.Linear(8 * 30 * 30, 2))
>>> drawn = Pictures(model, torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.zeros(1, 3, 32, 32)).look(0)
>>> drawn["0"].shape
(32, 32, 3)

:class:`Pictures` is for a training loop of your own, :class:`LightningCallback` for Lightning, :class:`TrainerCallback` for the ``Trainer``
of Hugging Face. Neither library is needed to import this module.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import re
import sys
from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import torch
from torch import nn

from . import _cbam
from ._draw import overlay
from ._explain import METHODS, Target, explain
from ._pictures import Picture, many
from ._trace import tensors
from ._watch import Seen, inside, watch
from .errors import ArgumentError, InputError, warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LightningCallback", "Pictures", "TrainerCallback"]


class Pictures:
    """Looks at the same pictures again and again as a model trains, and draws what it sees.

    A look is one pass in evaluation mode and without gradients (and one pass forward and back for each explanation). The training goes on as
    if it had not been: the mode of every module, every buffer, and the state of the random numbers of PyTorch, NumPy and Python are put back.

    Args:
        model: the module that is trained, and that you call. What ``DistributedDataParallel`` or ``torch.compile`` wraps is looked at
            inside; of several processes the first one draws.
        pictures: what is drawn on, one for each of ``inputs``: a list of what :func:`cbam.look` takes, or a batch of pixels. As the maps lie
            over the whole picture, they are the pictures as the model sees them, cropped but not normalised.
        inputs: the same pictures as the model takes them, ``[N, C, H, W]``. They are kept as they are now, and brought to the model's device
            and dtype at each look.
        to: a folder, which gets ``step-000100/NAME.png``; a ``torch.utils.tensorboard.SummaryWriter``, or whatever else has its ``add_image``,
            which gets ``cbam/NAME``; ``None`` writes nothing. Of several maps the map's name follows: ``NAME-MAP.png``, ``cbam/NAME/MAP``.
        every: how many steps lie between two looks.
        maps: the maps that are drawn: names of :attr:`cbam.Seen.maps`, methods of :func:`cbam.explain` as ``gradcam`` or
            ``gradcam:LAYER``, or several of both; by default the model's attention or its last gate over places, and ``gradcam`` if it has none.
        what: ``overlay``, or ``panel`` for one sheet of each picture with its likeliest classes and all of ``maps``.
        names: what the pictures are called; by default as their files are, or by their numbers.
        target: the decision that explanations are of; see :func:`cbam.explain`.
        labels: the names of the classes, for panels.
        range, layout: of pictures that are arrays, as for :func:`cbam.look`.
        style: the fields of :class:`cbam.Style`. ``scale="fixed:0,1"`` makes a gate's pictures comparable from step to step.

    Raises:
        ArgumentError, InputError, PhotoError, FileError: for what cannot be drawn on, or written to, at once and not at the first look. That a
            model has no map of such a name is known at the first look.
    """

    def __init__(
        self,
        model: nn.Module,
        pictures: Iterable[Picture],
        inputs: torch.Tensor,
        to: str | os.PathLike[str] | Any = None,
        every: int = 100,
        maps: str | Sequence[str] | None = None,
        *,
        what: Literal["overlay", "panel"] = "overlay",
        names: Sequence[str] | None = None,
        target: Target = None,
        labels: Sequence[str] | None = None,
        range: tuple[float, float] | None = None,
        layout: Literal["HWC", "CHW"] | None = None,
        **style: Any,
    ) -> None:
        self._model = inside(model)
        if not isinstance(inputs, torch.Tensor) or inputs.ndim != 4:
            shape = list(getattr(inputs, "shape", []))
            raise InputError(f"inputs: are {type(inputs).__name__} {shape}; they are a tensor [N, C, H, W]")
        self._inputs = inputs.detach().clone()
        given = _listed(pictures, len(inputs))
        if len(given) != len(inputs) or not given:
            raise ArgumentError(f"pictures: are {len(given)}, and inputs {len(inputs)}; there is one for each, and at least one")
        # With alpha=0 what is drawn is the picture itself.
        self._pixels = [overlay(of, np.ones((1, 1)), range=range, layout=layout, alpha=0) for of in given]
        if names is not None and len(names) != len(given):
            raise ArgumentError(f"names: are {len(names)} for {len(given)} pictures")
        self.names = _different([_name(of, number) for number, of in enumerate(given)] if names is None else names)
        self.every = every.__index__()
        if self.every < 1:
            raise ArgumentError(f"every: {every} is no number of steps; there is at least one")
        self._maps = [maps] if isinstance(maps, str) else None if maps is None else list(maps)
        if self._maps is not None and not self._maps:
            raise ArgumentError("maps: is empty; leave it out for the model's own")
        if what not in ("overlay", "panel"):
            raise ArgumentError(f"what: {what!r} is neither 'overlay' nor 'panel'")
        if what == "overlay" and labels is not None:
            raise ArgumentError("labels: has no effect on an overlay; it is for what='panel'")
        explained = any(_method(name) for name in self._maps or [])
        if what == "panel" and explained:
            raise ArgumentError("maps: a panel shows what runs in the model, and no explanations")
        shown = "a panel" if what == "panel" else "an explanation" if explained else "a PNG"
        for name in ("jpeg_quality", "legend", "width")[: ("a PNG", "an explanation", "a panel").index(shown) + 1]:
            if name in style:
                raise ArgumentError(f"{name}: has no effect on {shown}")
        # So that what is no style is told now.
        overlay(self._pixels[0], np.ones((1, 1)), **{name: value for name, value in style.items() if name != "legend"})
        self._what, self._target, self._labels, self._style = what, target, labels, style
        self._to = _place(to)
        self._last: int | None = None

    def step(self, number: int) -> dict[str, NDArray[Any]]:
        """Tells that the model has made so many steps. It looks, and gives back what is drawn, if ``number`` is a multiple of ``every``, or
        one was passed since the last call. Else it costs nothing, and gives back nothing."""
        last, self._last = self._last, number
        due = number % self.every == 0 if last is None else number != last and number // self.every != last // self.every
        return self.look(number) if due else {}

    def look(self, number: int) -> dict[str, NDArray[Any]]:
        """Looks now, writes what it sees as that of a step, and gives it back, by name: ``[H, W, 3]``, with alpha ``[H, W, 4]``.

        Raises:
            ArgumentError: for a map that the model has not, and for a model that lies in parts on several processes.
        Warns:
            CbamWarning: if a file cannot be written. The training goes on.
        """
        _whole(self._model)
        if torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_rank() > 0:
            return {}
        with _undisturbed(self._model):
            drawn = self._drawn()
        for names, picture in drawn.items():
            try:
                self._write(number, names, picture)
            except OSError as error:
                warn(f"the pictures of step {number} are not whole: {error}")
                break
        return {"/".join(names): picture for names, picture in drawn.items()}

    def _drawn(self) -> dict[tuple[str, ...], NDArray[Any]]:
        """What is drawn, by the picture's name, and by the map's where there are several."""
        inputs = _like_parameters(self._inputs, self._model)
        with torch.no_grad(), watch(self._model) as watched:
            output = self._model(inputs)
        seen = watched.seen
        if self._what == "panel":
            answer = next(tensors(output), None)
            logits = answer if answer is not None and answer.ndim == 2 and len(answer) == len(inputs) else None
            return {
                (name,): seen.look(pixels, number, self._maps, logits=logits, labels=self._labels).panel(**self._style)
                for number, (name, pixels) in enumerate(zip(self.names, self._pixels))
            }
        maps = self._maps or [next((name for name in seen.maps if not name.startswith("channel:")), "gradcam")]
        drawn = [self._overlays(seen, map, inputs) for map in maps]
        return {
            (name,) if len(maps) == 1 else (name, map): drawn[of][number]
            for number, name in enumerate(self.names)
            for of, map in enumerate(maps)
        }

    def _overlays(self, seen: Seen, map: str, inputs: torch.Tensor) -> list[NDArray[Any]]:
        method = _method(map)
        if method is None:
            return [seen.look(pixels, number, map).overlay(**self._style) for number, pixels in enumerate(self._pixels)]
        layer = map.partition(":")[2] or None
        explanation = explain(self._model, inputs, method, self._target, layer)
        return [overlay(pixels, values, **self._style) for pixels, values in zip(self._pixels, explanation.maps)]

    def _write(self, number: int, names: tuple[str, ...], picture: NDArray[Any]) -> None:
        if isinstance(self._to, str):
            path = os.path.join(self._to, f"step-{number:06d}", f"{'-'.join(map(_for_files, names))}.png")
            _cbam.write_picture(path, ("picture", picture), 90)
        elif self._to is not None:
            eight = picture if picture.dtype == np.uint8 else np.rint(picture / 257).astype(np.uint8)
            self._to.add_image("/".join(("cbam", *names)), eight, global_step=number, dataformats="HWC")


def _listed(pictures: Any, count: int) -> list[Any]:
    sides = getattr(pictures, "ndim", 0)
    batch = sides == 4 or (sides == 3 and len(pictures) == count > 1)  # of grey pictures
    return list(pictures) if batch else many(pictures) or [pictures]


def _name(picture: Any, number: int) -> str:
    path = picture if isinstance(picture, (str, os.PathLike)) else getattr(picture, "filename", None)
    return os.path.splitext(os.path.basename(os.fspath(path)))[0] if isinstance(path, (str, os.PathLike)) and path else str(number)


def _different(names: Sequence[str]) -> list[str]:
    """Names for files, of which no two are the same: what came before has a number behind it."""
    found: dict[str, None] = {}
    for name in map(_for_files, names):
        tried, number = name, 1
        while tried in found:
            number += 1
            tried = f"{name}-{number}"
        found[tried] = None
    return list(found)


def _for_files(name: str) -> str:
    return re.sub(r"[^\w.@,+=()\[\] -]", "-", name)


def _method(map: str) -> str | None:
    """The method of :func:`cbam.explain` that a map's name begins with."""
    method = map.partition(":")[0]
    return method if method in METHODS and method != "relevance" else None


def _place(to: Any) -> Any:
    if to is None or hasattr(to, "add_image"):
        return to
    if not isinstance(to, (str, os.PathLike)):
        raise ArgumentError(f"to: {type(to).__name__} is no folder, and has no add_image")
    folder = os.fspath(to)
    os.makedirs(folder, exist_ok=True)
    return folder


def _whole(model: nn.Module) -> None:
    """What lies in parts on several processes runs on all of them or waits for ever."""
    kinds = {type(of).__name__ for of in [*model.modules(), *model.parameters()]}
    if kinds & {"FullyShardedDataParallel", "DTensor"} or any(hasattr(of, "ds_id") for of in model.parameters()):
        raise ArgumentError("model: lies in parts on several processes (FSDP, ZeRO-3), and one process alone cannot run it")


def _like_parameters(inputs: torch.Tensor, model: nn.Module) -> torch.Tensor:
    like = next((of for of in model.parameters() if of.is_floating_point()), None)
    if like is None:
        return inputs
    return inputs.to(like.device, like.dtype if inputs.is_floating_point() else inputs.dtype)


@contextlib.contextmanager
def _undisturbed(model: nn.Module) -> Generator[None, None, None]:
    """A block in which a model is in evaluation mode, and behind which nothing is different from before it.

    The mode is set without a call of ``eval()``, which modules may take for more, as those that merge their weights do.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, buffer.detach().clone(), buffer._version)
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if not buffer.is_inference()
    ]
    devices = {of.device for of in model.parameters() if of.device.type in ("cuda", "xpu")}
    kind = next(iter(devices)).type if devices else "cuda"
    python, numpy = random.getstate(), np.random.get_state()
    try:
        for module, _ in modes:
            module.training = False
        with torch.random.fork_rng([of.index or 0 for of in devices], device_type=kind):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for module, name, buffer, before, version in buffers:
                if getattr(module, name, None) is not buffer:
                    setattr(module, name, buffer)
                # What was not written to is not written to here: a pass backward may be waiting for it.
                if buffer._version != version:
                    buffer.copy_(before)


class _Callback:
    """A callback of another library, whose base is found when an object is made: by then the library is imported."""

    _BASES: tuple[tuple[str, str], ...] = ()
    _WANTS = ""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return object.__new__(_with_bases(cls))

    def __init__(
        self,
        pictures: Iterable[Picture],
        inputs: torch.Tensor,
        to: str | os.PathLike[str] | Any = None,
        every: int = 100,
        maps: str | Sequence[str] | None = None,
        *,
        module: str | None = None,
        **how: Any,
    ) -> None:
        super().__init__()
        self._module, self._to = module, to
        # The model comes later.
        self.pictures = Pictures(nn.Identity(), pictures, inputs, to, every, maps, **how)

    def __reduce__(self) -> Any:
        return _made, (next(of for of in type(self).__mro__ if "_bases" not in of.__dict__),), self.__dict__

    def _of(self, model: Any) -> None:
        if self._module is not None:
            model = inside(model)
            try:
                model = model.get_submodule(self._module)
            except AttributeError as error:
                raise ArgumentError(f"module: {error}") from None
        self.pictures._model, self.pictures._last = inside(model), None


_Kind = TypeVar("_Kind", bound=_Callback)
_classes: dict[tuple[Any, ...], Any] = {}


def _made(kind: type[_Kind]) -> _Kind:
    return kind.__new__(kind)


def _with_bases(kind: type[_Callback]) -> Any:
    if "_bases" in kind.__dict__:
        return kind
    names = [of for of in kind._BASES if of[0] in sys.modules]
    for module, name in [] if names else kind._BASES:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            continue
        names = [(module, name)]
        break
    if not names:
        raise ImportError(f"cbam.training.{kind.__name__} needs {kind._WANTS}, which is not installed")
    bases = tuple(getattr(sys.modules[module], name) for module, name in names)
    if (kind, bases) not in _classes:
        inner = {"_bases": bases, "__module__": kind.__module__, "__doc__": kind.__doc__}
        _classes[kind, bases] = type(kind.__name__, (kind, *bases), inner)
    return _classes[kind, bases]


class LightningCallback(_Callback):
    """:class:`Pictures` for the trainer of ``lightning`` or ``pytorch_lightning``: before the first step, and every ``every`` steps.

    Args:
        pictures, inputs, every, maps: as for :class:`Pictures`, which takes the other keywords too. Steps are those of the optimizers.
        to: likewise; by default the trainer's TensorBoard logger, or else ``pictures`` in its folder.
        module: the part of the module that is looked at, as ``named_modules()`` has it, if its own ``forward`` is not that of pictures.
    """

    _BASES = (("lightning.pytorch", "Callback"), ("pytorch_lightning", "Callback"))
    _WANTS = "lightning or pytorch_lightning"

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._of(pl_module)
        if self._to is None:
            writers = (getattr(logger, "experiment", None) for logger in trainer.loggers)
            to = next((of for of in writers if hasattr(of, "add_image")), None)
            # Every process asks for it, as the first one tells the others.
            folder = trainer.log_dir or trainer.default_root_dir
            self.pictures._to = to or os.path.join(folder, "pictures")
        self.pictures.step(trainer.global_step)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.pictures.step(trainer.global_step)


class TrainerCallback(_Callback):
    """:class:`Pictures` for the ``Trainer`` of Hugging Face's ``transformers``: before the first step, and every ``every`` steps.

    Args:
        pictures, inputs, every, maps: as for :class:`Pictures`, which takes the other keywords too. The model is called as ``model(inputs)``.
        to: likewise; by default ``pictures`` in the trainer's ``output_dir``.
        module: the part of the model that is looked at, as ``named_modules()`` has it; by default all of it.
    """

    _BASES = (("transformers", "TrainerCallback"),)
    _WANTS = "transformers"

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self._of(model)
        if self._to is None:
            self.pictures._to = os.path.join(args.output_dir, "pictures")
        self.pictures.step(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.pictures.step(state.global_step)
