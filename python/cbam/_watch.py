"""Looking into a PyTorch model while it runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from . import _cbam
from ._look import Look
from ._pictures import Picture, given
from ._trace import Fused, Recorder, tensors
from .errors import ArgumentError, CbamError, InputError

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
                self._weights = self._of(None)
        return self._weights

    def of(self, picture: int) -> torch.Tensor:
        """The weights of one picture of the batch, ``[heads, T, T]``, ``float32``; those of the others are not made."""
        with torch.no_grad():
            return self._of(picture)[0] if self._weights is None else self._weights[picture]

    def _of(self, picture: int | None) -> torch.Tensor:
        made = self._source.weights(picture) if isinstance(self._source, Fused) else self._source
        tokens = made.shape[-1]
        made = made.reshape(-1, self.heads, tokens, tokens)
        if picture is not None and not isinstance(self._source, Fused):
            made = made[picture : picture + 1]
        return made.float()

    def __repr__(self) -> str:
        return f"Attention({self.name!r}, {self.heads} heads, grid {self.grid[0]}×{self.grid[1]})"


_Item = TypeVar("_Item", Gate, Attention)


class Named(Mapping[str, _Item]):
    """By the user's own module paths; where a module has gates of two kinds, with the kind before it: ``spatial:cbam``."""

    def __init__(self, what: str, items: Sequence[_Item]) -> None:
        names = [item.name for item in items]
        self._what = what
        self._items = {of.name if names.count(of.name) == 1 else _with_kind(of): of for of in items}
        self._also = {_with_kind(of): of for of in items}

    def __getitem__(self, name: str) -> _Item:
        found = self._items.get(name, self._also.get(name))
        if found is None:
            raise KeyError(f"no {self._what} is called {name!r}; there are {', '.join(self._items) or 'none'}")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self._items.values()))}}}"


def _with_kind(item: Gate | Attention) -> str:
    return f"{item.kind if isinstance(item, Gate) else 'patch'}:{item.name}"


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
            fused = None if place.node is None else recorder.fused.get(place.node)
            source = fused if place.value is None else recorder.kept.get(place.value)
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
            raise ArgumentError(f"number: {number} is none of the {self.pictures} pictures of the pass, from 0")
        if not self.maps:
            raise InputError("watch: no gate and no attention over patches is in the pass, so there is nothing to show")
        gates = [[_numpy(part[number : number + 1]) for part in gate.parts] for gate in self.gates.values()]
        weights = [_numpy(of.of(number)) for of in self.attention.values()]
        names, row = [maps] if isinstance(maps, str) else list(maps or []), None
        if logits is not None:
            values = logits.detach() if isinstance(logits, torch.Tensor) else torch.as_tensor(np.asarray(logits))
            values = values[number] if values.ndim == 2 else values
            if values.ndim != 1:
                raise InputError(f"logits: have shape {list(values.shape)}; they are [N, classes] or [classes]")
            row = _numpy(values.float().softmax(0))
        raw = self._found.look(
            given(picture, range, layout), [(gate.name, gate.kind) for gate in self.gates.values()], gates, list(self.attention), weights,
            names, row, None if labels is None else [str(label) for label in labels], seen,
        )  # fmt: skip
        return Look(raw)

    def __repr__(self) -> str:
        left = f", {len(self.left_out)} left out" if self.left_out else ""
        return f"Seen({len(self.gates)} gates, {len(self.attention)} attentions{left})"


def _numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().to("cpu", torch.float32).numpy())


class _Eager:
    """While any block is open, what ``torch.compile`` compiled runs as it was written: its inside is seen then."""

    _lock = threading.Lock()
    _open = 0
    _stance: Any = None

    @classmethod
    def begin(cls) -> None:
        with cls._lock:
            cls._open += 1
            if cls._open == 1 and hasattr(torch.compiler, "set_stance"):
                cls._stance = torch.compiler.set_stance("force_eager")

    @classmethod
    def end(cls) -> None:
        with cls._lock:
            cls._open -= 1
            if cls._open == 0 and cls._stance is not None:
                cls._stance.__exit__(None, None, None)
                cls._stance = None


class watch(contextlib.AbstractContextManager["watch"]):
    """Sees every gate and every attention of a PyTorch model while it runs, unchanged, on any device and in any dtype.

    >>> import torch, torchvision
    >>> import cbam
    >>> model = torchvision.models.squeezenet1_1().eval()
    >>> with cbam.watch(model) as watched, torch.no_grad():
    ...     logits = model(torch.randn(1, 3, 224, 224))
    >>> watched.seen
    Seen(0 gates, 0 attentions)

    ``seen`` is what the last pass that came to its end showed; ``gates``, ``attention``, ``left_out`` and ``look`` are its. Passes under
    ``no_grad``, ``inference_mode`` and autocast are seen as they run, in whatever thread. ``torch.compile`` is off inside the block, and
    what it or ``DistributedDataParallel`` wraps is watched inside it. After the block no hook is left on the model, and of the pass only
    what ``seen`` holds. A block may be opened again.

    Args:
        model: the module that you call. What is run without its ``forward`` is not seen.

    Raises:
        ArgumentError: for what is no module, or runs its copies in threads of their own (``DataParallel`` on several GPUs).
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = inside(model)
        self._handles: list[Any] = []
        self._passes: dict[int, Recorder] = {}  # by thread
        self._open = False
        self._last: Recorder | None = None
        self._found: tuple[str, _cbam.Found] | None = None
        self._seen: Seen | None = None

    @property
    def seen(self) -> Seen:
        """What the last pass showed.

        Raises:
            InputError: if the model did not run inside the block.
        """
        self._settle()
        if self._seen is None:
            why = "watch the module that you call, and call it as model(x): model.forward(x), or a part of it, is not seen"
            raise InputError(f"watch: the model did not run inside the block, or not to its end; {why}")
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
        if self._open or self._handles:
            raise ArgumentError("watch: this block is open already")
        self._seen = self._last = None
        self._open = True
        _Eager.begin()
        modules: list[tuple[str, nn.Module]] = list(self._model.named_modules())
        for path, module in modules:
            kind = f"{type(module).__module__}.{type(module).__qualname__}"
            # What is scripted takes no hooks: what runs in it runs in the module around it.
            with contextlib.suppress(RuntimeError) if path else contextlib.nullcontext():
                self._handles.append(module.register_forward_pre_hook(self._entering(path, kind), with_kwargs=True))
                # Of several blocks the last one opened ends its pass first.
                self._handles.append(module.register_forward_hook(self._left(path), prepend=True, always_call=True))
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        _Eager.end()
        unfinished = self._passes.pop(threading.get_ident(), None)
        if unfinished is not None:
            unfinished.stop()
        if not {thread.ident for thread in threading.enumerate()}.intersection(self._passes):
            self._unhook()  # else passes of other threads come to their end first
        with contextlib.suppress(CbamError):  # it is raised when ``seen`` is asked for
            self._settle()

    def _unhook(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._passes = {}

    def _entering(self, path: str, kind: str) -> Any:
        def hook(_: nn.Module, args: Any, kwargs: Any) -> None:
            thread = threading.get_ident()
            recorder = self._passes.get(thread)
            if path == "" and (self._open or recorder is not None):
                if recorder is None:
                    recorder = self._passes[thread] = Recorder(list(tensors([args, kwargs])))
                    recorder.start()
                recorder.depth += 1
            if recorder is not None:
                recorder.stack.append((path, kind))

        return hook

    def _left(self, path: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            thread = threading.get_ident()
            recorder = self._passes.get(thread)
            if recorder is None:
                return
            while recorder.stack and recorder.stack.pop()[0] != path:
                pass
            if path != "":
                return
            recorder.depth -= 1
            if recorder.depth:
                return
            del self._passes[thread]
            recorder.stop()
            if output is not None:
                recorder.ended(output)
                self._last = recorder
            if not self._open and not self._passes:
                self._unhook()

        return hook

    def _settle(self) -> None:
        """Finds what is in the last pass, unless that is done."""
        recorder = self._last
        if recorder is None:
            return
        trace = recorder.json()
        if self._found is None or self._found[0] != trace:
            self._found = (trace, _cbam.Found(trace))
        self._seen, self._last = Seen(recorder, self._found[1]), None


def inside(model: Any) -> nn.Module:
    """The module that runs, of one that is wrapped."""
    inner: Any = model
    while inner is not None:
        if not isinstance(inner, nn.Module):
            raise ArgumentError(f"model: {type(inner).__name__} is no torch.nn.Module")
        model, inner = inner, getattr(inner, "_orig_mod", None)
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = getattr(model, "module", None)
            if isinstance(model, nn.DataParallel) and len(getattr(model, "device_ids", ())) > 1:
                raise ArgumentError("model: DataParallel runs copies in threads of their own; watch and call model.module")
    if isinstance(model, torch.jit.ScriptModule) and "Traced" not in type(model).__name__:
        raise ArgumentError("model: a scripted module takes no hooks; watch the module that it was made of, or torch.jit.trace's")
    return model
