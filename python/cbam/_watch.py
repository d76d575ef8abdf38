"""Looking into a PyTorch model while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from . import _cbam
from ._look import Look
from ._pictures import Picture, given
from ._trace import Fused, Recorder, tensors
from .errors import ArgumentError, InputError

Kind = Literal["channel", "spatial", "coordinate", "full"]


class Gate:
    """A gate that a model computed: what lies in 0 to 1 and features are multiplied with.

    Attributes:
        name: the module that it stands in, as ``named_modules()`` has it.
        kind: ``channel`` (``[N, C, 1, 1]``), ``spatial`` (``[N, 1, H, W]``), ``coordinate`` (``[N, C, H, 1]`` and ``[N, C, 1, W]``) or
            ``full`` (``[N, C, H, W]``).
        parts: its values as the model had them, on its device and in its dtype, channels first; two of a coordinate gate.
    """

    def __init__(self, name: str, kind: Kind, parts: list[torch.Tensor]) -> None:
        self.name, self.kind, self.parts = name, kind, parts

    @property
    def values(self) -> torch.Tensor:
        """Its values, ``[N, C, 1, 1]`` and so on; of a coordinate gate rows times columns, ``[N, C, H, W]``."""
        return self.parts[0] if len(self.parts) == 1 else self.parts[0] * self.parts[1]

    def __repr__(self) -> str:
        return f"Gate({self.name!r}, {self.kind}, {list(self.values.shape)})"


class Attention:
    """A self-attention over patches that a model computed.

    Attributes:
        name: the module that it stands in.
        heads: how many heads it has.
        grid: rows and columns of patches.
        before, after: how many tokens before and behind the patches are none: class tokens, registers.
        class_token: whether the first of those before is a class token.
    """

    def __init__(self, of: _cbam.FoundAttention, source: torch.Tensor | Fused) -> None:
        self.name, self.heads, self.grid = of.name, of.heads, of.grid
        self.before, self.after, self.class_token = of.before, of.after, of.class_token
        self._source = source
        self._weights: torch.Tensor | None = None

    @property
    def weights(self) -> torch.Tensor:
        """The share of each token that each token looks at, ``[N, heads, T, T]``, ``float32``; rows sum to 1.

        Of a fused attention, which gives out no weights, they are made of its queries and keys when they are first asked for.
        """
        if self._weights is None:
            with torch.no_grad():
                made = self._source.weights() if isinstance(self._source, Fused) else self._source.float()
                tokens = made.shape[-1]
                self._weights = made.reshape(-1, self.heads, tokens, tokens)
        return self._weights

    def __repr__(self) -> str:
        return f"Attention({self.name!r}, {self.heads} heads, grid {self.grid[0]}×{self.grid[1]})"


class Named(Mapping[str, Any]):
    """By the user's own module paths."""

    def __init__(self, what: str, items: Sequence[Any]) -> None:
        self._what, self._items = what, {item.name: item for item in items}

    def __getitem__(self, name: str) -> Any:
        try:
            return self._items[name]
        except KeyError:
            raise KeyError(f"no {self._what} is called {name!r}; there are {', '.join(self._items) or 'none'}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self._items.values()))}}}"


class Seen:
    """What was seen in one pass of a model: every gate, and every attention over patches.

    Attributes:
        gates: its gates, by name.
        attention: its attentions over patches, by name.
        left_out: the modules whose attention, or gate, is not shown, and why: nothing is passed over silently.
    """

    def __init__(self, recorder: Recorder, found: _cbam.Found) -> None:
        self._found = found
        self.left_out: list[tuple[str, str]] = [*found.left_out, *recorder.unseen]
        gates: list[Gate] = []
        for of in found.gates:
            parts = [recorder.kept[value] for value in of.values if value in recorder.kept]
            if len(parts) != len(of.values):
                self.left_out.append((of.name, "its values are of operations that are not known"))
                continue
            gates.append(Gate(of.name, of.kind, [part.permute(0, 3, 1, 2) if of.channels_last else part for part in parts]))
        attention: list[Attention] = []
        for place in found.attention:
            source = recorder.fused.get(place.node) if place.value is None else recorder.kept.get(place.value)
            if source is None:
                self.left_out.append((place.name, "its weights are of operations that are not known"))
            else:
                attention.append(Attention(place, source))
        self.gates: Mapping[str, Gate] = Named("gate", gates)
        self.attention: Mapping[str, Attention] = Named("attention", attention)

    @property
    def pictures(self) -> int:
        """How many pictures the pass was of."""
        return self._found.batch

    @property
    def maps(self) -> list[str]:
        """The maps that a look of it holds."""
        return self._found.maps

    def look(
        self,
        picture: Picture,
        number: int = 0,
        maps: str | Sequence[str] | None = None,
        *,
        logits: Any = None,
        labels: Sequence[str] | None = None,
        seen: tuple[int, int, int, int] | None = None,
        range: tuple[float, float] | None = None,
        layout: Literal["HWC", "CHW"] | None = None,
    ) -> Look:
        """What was seen, laid over a picture: a :class:`Look` with overlays, panel and page.

        Args:
            picture: the picture as it was before your own preprocessing; see :func:`cbam.look`.
            number: which of the batch it was.
            maps: the maps that are shown, the first one first; by default the model's attention, or its last gate over places.
            logits: what the model said, ``[N, classes]`` or ``[classes]``, if it is to be shown; a softmax makes probabilities of it.
            labels: the names of the classes.
            seen: the part of the picture that the model saw, as left, top, width, height; by default all of it.
            range, layout: of a picture that is an array; see :func:`cbam.look`.
        """
        if not 0 <= number < self.pictures:
            raise ArgumentError(f"number: {number} is none of the {self.pictures} pictures of the pass")
        gates = [[_numpy(part[number : number + 1]) for part in gate.parts] for gate in self.gates.values()]
        weights = [_numpy(of.weights[number]) for of in self.attention.values()]
        names = [maps] if isinstance(maps, str) else list(maps or [])
        row = None
        if logits is not None:
            values = logits.detach() if isinstance(logits, torch.Tensor) else torch.as_tensor(np.asarray(logits))
            values = values[number] if values.ndim == 2 else values
            if values.ndim != 1:
                raise InputError(f"logits: have shape {list(values.shape)}; they are [N, classes] or [classes]")
            row = _numpy(values.float().softmax(0))
        raw = self._found.look(
            given(picture, range, layout), list(self.gates), gates, list(self.attention), weights, names, row,
            None if labels is None else [str(label) for label in labels], seen,
        )
        return Look(raw)

    def __repr__(self) -> str:
        left = f", {len(self.left_out)} left out" if self.left_out else ""
        return f"Seen({len(self.gates)} gates, {len(self.attention)} attentions{left})"


def _numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().to("cpu", torch.float32).numpy())


class watch(contextlib.AbstractContextManager["watch"]):
    """Sees every gate and every attention of a PyTorch model while it runs, unchanged, on any device and in any dtype.

    >>> import torch, torchvision
    >>> import cbam
    >>> model = torchvision.models.squeezenet1_1().eval()
    >>> with cbam.watch(model) as watched, torch.no_grad():
    ...     logits = model(torch.randn(1, 3, 224, 224))
    >>> watched.seen
    Seen(0 gates, 0 attentions)

    ``seen`` is what the last pass showed; ``gates``, ``attention``, ``left_out`` and ``look`` are its. Passes under ``no_grad``,
    ``inference_mode`` and autocast are seen as they run. ``torch.compile`` is off inside the block, and what ``DistributedDataParallel``
    wraps is watched inside it. After the block no hook is left on the model.

    Args:
        model: the module that you call. What is run without its ``forward`` is not seen.

    Raises:
        ArgumentError: for what is no module, or runs its copies in threads of their own (``DataParallel`` on several GPUs).
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = _inside(model)
        self._handles: list[Any] = []
        self._recorder: Recorder | None = None
        self._depth = 0
        self._last: tuple[str, _cbam.Found] | None = None
        self._seen: Seen | None = None
        self._stance: Any = None

    @property
    def seen(self) -> Seen:
        """What the last pass showed.

        Raises:
            InputError: if the model did not run inside the block.
        """
        if self._seen is None:
            raise InputError(
                "watch: the model did not run inside the block, or not to its end; watch the module that you call"
            )
        return self._seen

    @property
    def gates(self) -> Mapping[str, Gate]:
        """The gates of the last pass, by name."""
        return self.seen.gates

    @property
    def attention(self) -> Mapping[str, Attention]:
        """The attentions of the last pass, by name."""
        return self.seen.attention

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """What of the last pass is not shown, and why."""
        return self.seen.left_out

    def look(self, picture: Picture, number: int = 0, maps: str | Sequence[str] | None = None, **how: Any) -> Look:
        """What the last pass showed, laid over a picture; see :meth:`Seen.look`."""
        return self.seen.look(picture, number, maps, **how)

    def __enter__(self) -> watch:
        if self._handles:
            raise ArgumentError("watch: this block is open already")
        if hasattr(torch, "compiler") and hasattr(torch.compiler, "set_stance"):
            self._stance = torch.compiler.set_stance("force_eager")
            self._stance.__enter__()
        for path, module in self._model.named_modules():
            kind = f"{type(module).__module__}.{type(module).__qualname__}"
            self._handles.append(module.register_forward_pre_hook(self._entering(path, kind), with_kwargs=True))
            self._handles.append(
                module.register_forward_hook(self._left(path), with_kwargs=False, always_call=True)
            )
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self._recorder is not None:
            self._recorder.stop()
        self._recorder, self._depth = None, 0
        if self._stance is not None:
            self._stance.__exit__(None, None, None)
            self._stance = None

    def _entering(self, path: str, kind: str) -> Any:
        def hook(_: nn.Module, args: Any, kwargs: Any) -> None:
            if path == "":
                self._depth += 1
                if self._depth == 1:
                    self._recorder = Recorder(list(tensors([args, kwargs])))
                    self._recorder.start()
            if self._recorder is not None:
                self._recorder.stack.append((path, kind))

        return hook

    def _left(self, path: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            recorder = self._recorder
            if recorder is None:
                return
            while recorder.stack and recorder.stack.pop()[0] != path:
                pass
            if path != "":
                return
            self._depth -= 1
            if self._depth == 0:
                self._recorder = None
                recorder.stop()
                if output is not None:
                    recorder.ended(output)
                    self._seen = Seen(recorder, self._found(recorder))

        return hook

    def _found(self, recorder: Recorder) -> _cbam.Found:
        trace = recorder.json()
        if self._last is None or self._last[0] != trace:
            self._last = (trace, _cbam.Found(trace))
        return self._last[1]


def _inside(model: Any) -> nn.Module:
    """The module that runs, of one that is wrapped."""
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"model: {type(model).__name__} is no torch.nn.Module")
    for _ in range(8):
        if isinstance(model, nn.DataParallel):
            if len(model.device_ids) > 1:
                raise ArgumentError(
                    "model: DataParallel runs copies in threads of their own; watch and call model.module"
                )
            model = model.module
        elif isinstance(model, nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(getattr(model, "_orig_mod", None), nn.Module):
            model = model._orig_mod
        else:
            break
    return model
