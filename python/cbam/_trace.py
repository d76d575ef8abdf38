"""What runs inside a PyTorch model, seen operation by operation: which values are made of which, and those that may be gates or attention.

A dispatch mode sees every operation that reaches PyTorch's dispatcher, so also those inside ``nn.MultiheadAttention`` and fused
attention. Values are told from one another by their memory: the storage, and where and how a tensor lies in it. Storages are known by
weak references, so that no number is kept alive, and none is taken for another that has its place in memory later.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from . import _cbam

_CARRIED = frozenset(_cbam.carried())  # operations that only give on the first tensor that they take
_FUSED = ("_scaled_dot_product", "scaled_dot_product")
_NOT_SEEN_INTO = ("attention", "attn", "_transformer_encoder")
_SOFTMAXES = ("_softmax", "_safe_softmax", "softmax")

Key = tuple[Any, ...]


class _Unfused(TorchFunctionMode):
    """Changes nothing. Where such a mode is active, ``nn.MultiheadAttention`` and encoder layers leave their fast path, which is one
    operation whose inside nobody sees."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def tensors(value: Any, deep: int = 0) -> Iterator[torch.Tensor]:
    """The tensors in what a module takes or gives."""
    if isinstance(value, torch.Tensor):
        yield value
        return
    inner: Any = ()
    if isinstance(value, Mapping):
        inner = cast("Mapping[Any, Any]", value).values()
    elif isinstance(value, (list, tuple)):
        inner = cast("Sequence[Any]", value)
    elif hasattr(value, "__dataclass_fields__"):
        inner = [getattr(value, name, None) for name in value.__dataclass_fields__]
    if deep < 12:
        for item in inner:
            yield from tensors(item, deep + 1)


class Fused:
    """An attention that is one operation, which gives out no weights: its queries and keys."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.query: torch.Tensor = given["query"].detach()
        self.key: torch.Tensor = given["key"].detach()
        mask = given.get("attn_mask", given.get("attn_bias"))
        self.mask: torch.Tensor | None = None if mask is None else mask.detach()
        self.causal = bool(given.get("is_causal", False))
        self.scale: float | None = given.get("scale")

    def parts(self) -> list[torch.Tensor]:
        """What lies in the model's own memory."""
        return [self.query, self.key, *([] if self.mask is None else [self.mask])]

    def copied(self) -> None:
        """Away from memory that is about to be written over."""
        self.query, self.key = self.query.clone(), self.key.clone()
        self.mask = None if self.mask is None else self.mask.clone()

    def weights(self, picture: int | None = None) -> torch.Tensor:
        """``softmax(q kᵀ · scale + mask)`` in ``float32``, ``[N, heads, T, S]``; of one picture ``[1, heads, T, S]``."""
        query, key, mask = self.query, self.key, self.mask
        if picture is not None:
            if mask is not None and mask.ndim == query.ndim and mask.shape[0] == query.shape[0]:
                mask = mask[picture : picture + 1]
            query, key = query[picture : picture + 1], key[picture : picture + 1]
        query, key = query.float(), key.float()
        if query.ndim == 4 and key.shape[1] != query.shape[1]:
            key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        scale = query.shape[-1] ** -0.5 if self.scale is None else self.scale
        scores = query @ key.transpose(-2, -1) * scale
        if self.causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask.float()
        # Whoever may look at nothing looks nowhere.
        nowhere = scores.isneginf().all(-1, keepdim=True)
        return scores.softmax(-1).masked_fill(nowhere, 0.0)


class _Operator(NamedTuple):
    """An operator: its name as the core has it and by itself, its parameters, those that it writes into, and those that are only that."""

    name: str
    base: str
    parameters: tuple[str, ...]
    written: frozenset[str]
    only_written: frozenset[str]


@functools.cache
def _operator(func: Any) -> _Operator | None:
    """What is known of an operator by its schema; nothing of one that has none."""
    schema = getattr(func, "_schema", None)
    if schema is None:
        return None
    namespace, _, base = schema.name.rpartition("::")
    arguments = schema.arguments
    written = frozenset(of.name for of in arguments if of.alias_info is not None and of.alias_info.is_write)
    only = frozenset(of.name for of in arguments if of.name in written and getattr(of, "is_out", False))
    plain = base.rstrip("_") if written else base
    return _Operator(f"{namespace}.{plain}.default", plain, tuple(of.name for of in arguments), written, only)


class Recorder(TorchDispatchMode):
    """One pass of a model."""

    supports_higher_order_operators = True

    def __init__(self, given: list[torch.Tensor]) -> None:
        super().__init__()
        self._unfused = _Unfused()
        self.depth = 0
        self.stack: list[tuple[str, str]] = []
        self.kept: dict[int, torch.Tensor] = {}
        self.fused: dict[int, Fused] = {}
        self.unseen: list[tuple[str, str]] = []
        self._source: dict[int, int] = {}  # what a gate is of, by the gate
        self._plus_three: dict[int, int] = {}  # x, by x + 3 and by relu6(x + 3)
        self._shapes: list[Sequence[int]] = []
        self._numbers: dict[Key, int] = {}
        self._storages: dict[int, StorageWeakRef] = {}
        self._views: dict[Any, set[Key]] = {}
        self._held: dict[Any, set[int]] = {}
        self._others: list[torch.Tensor] = []
        self._nodes: list[str] = []  # JSON, which gives the garbage collector nothing to look through
        self._convolved: int | None = None  # what the first convolution takes
        self._modules: dict[tuple[tuple[str, str], ...], int] = {}
        self._inputs = [self._number(tensor) for tensor in given]
        self._outputs: list[int] = []

    def start(self) -> None:
        """From now on operations of this thread are seen."""
        self._unfused.__enter__()
        self.__enter__()

    def stop(self) -> None:
        """No more of them are."""
        self.__exit__(None, None, None)
        self._unfused.__exit__(None, None, None)

    def ended(self, output: Any) -> None:
        """The model gives out ``output``, which is its user's, who may write over it."""
        given = list(tensors(output))
        self._outputs = [number for tensor in given if (number := self._numbers.get(self._key(tensor))) is not None]
        for tensor in given:
            self._copy_before(self._key(tensor)[0])

    def json(self) -> str:
        """What ran, as the core reads it."""
        rest = {
            "shapes": self._shapes,
            "inputs": self._given(),
            "outputs": self._outputs,
            "modules": [list(stack) for stack in self._modules],
        }
        text = json.dumps(rest, separators=(",", ":"))
        return f'{text[:-1]},"nodes":[{",".join(self._nodes)}]}}'

    def _given(self) -> list[int]:
        """What was given to the model, its pictures first; of one that puts them together by itself, as of a list, together."""
        has_four = [number for number in self._inputs if len(self._shapes[number]) == 4]
        taken = self._convolved
        if taken is not None and (taken in has_four or not has_four):
            has_four = [taken]
        return [*has_four[:1], *(number for number in self._inputs if number not in has_four[:1])]

    # What a tensor is.

    def _key(self, tensor: torch.Tensor) -> Key:
        try:
            storage = tensor.untyped_storage()
            place: int = storage._cdata  # pyright: ignore[reportPrivateUsage]
            if place not in self._storages:
                self._storages[place] = StorageWeakRef(storage)
            return (place, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype)
        except (NotImplementedError, RuntimeError):
            # Of another library, or of another layout: it is known by itself, as long as it lives.
            self._others.append(tensor)
            return (f"tensor {id(tensor)}",)

    def _number(self, tensor: torch.Tensor) -> int:
        key = self._key(tensor)
        number = self._numbers.get(key)
        return self._made(key, tensor.shape) if number is None else number

    def _made(self, key: Key, shape: Sequence[int]) -> int:
        self._shapes.append(shape)
        number = self._numbers[key] = len(self._shapes) - 1
        self._views.setdefault(key[0], set()).add(key)
        return number

    # What is taken.

    def _argument(self, value: Any, taken: list[int]) -> str:
        if isinstance(value, torch.Tensor):
            number = self._number(value)
            taken.append(number)
            return f'{{"v":{number}}}'
        if isinstance(value, bool):
            return '{"bool":true}' if value else '{"bool":false}'
        if isinstance(value, int):
            return f'{{"int":{int(value)}}}'
        if isinstance(value, float) and abs(value) < float("inf"):
            return f'{{"float":{float(value)!r}}}'
        if isinstance(value, (list, tuple)):
            return self._several(cast("Sequence[Any]", value))
        return '"other"'

    def _several(self, items: Sequence[Any]) -> str:
        if items and all(item is None or isinstance(item, torch.Tensor) for item in items):
            return json.dumps({"vs": [None if item is None else self._number(item) for item in items]})
        if all(isinstance(item, int) and not isinstance(item, bool) for item in items):
            return json.dumps({"ints": [int(item) for item in items]})
        if all(isinstance(item, float) and abs(item) < float("inf") for item in items):
            return json.dumps({"floats": list(items)})
        return '"other"'

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        operator = _operator(func)
        if operator is None:
            return self._of_higher_order(func, args, kwargs)
        given = dict(zip(operator.parameters, args))
        given.update(kwargs)
        written = [of for name in operator.written for of in tensors(given.get(name))]
        for tensor in written:
            self._copy_before(self._key(tensor)[0])
        taken: list[int] = []
        takes = [
            f'["{name}",{self._argument(value, taken)}]'
            for name, value in given.items()
            if value is not None and name not in operator.only_written
        ]
        if self._convolved is None and "conv" in operator.base and taken and len(self._shapes[taken[0]]) == 4:
            self._convolved = taken[0]
        result = func(*args, **kwargs)
        self._record(operator, given, (takes, taken), [self._key(tensor) for tensor in written], result)
        return result

    def _of_higher_order(self, func: Any, args: Any, kwargs: Any) -> Any:
        """An operation that takes functions: what it gives is made of what it takes, and more is not known of it."""
        name = str(getattr(func, "__name__", func))
        takes = [f'["input",{{"v":{self._number(tensor)}}}]' for tensor in tensors([args, kwargs])]
        result = func(*args, **kwargs)
        makes = [self._made(self._key(tensor), tensor.shape) for tensor in tensors(result)]
        self._node(f"higher_order.{name}.default", takes, makes)
        self._not_into(name)
        return result

    def _record(
        self, operator: _Operator, given: dict[str, Any], takes: tuple[list[str], list[int]], written: list[Key], result: Any
    ) -> None:
        made = list(cast("Sequence[Any]", result)) if isinstance(result, (list, tuple)) else [result]
        outputs: list[int | None] = []
        new, left = False, list(written)
        for tensor in made:
            if not isinstance(tensor, torch.Tensor):
                outputs.append(None)
                continue
            key = self._key(tensor)
            number = self._numbers.get(key)
            if number is None or key in written:
                number, new = self._made(key, tensor.shape), True
                left = [of for of in left if of != key]
            outputs.append(number)
        for key in left:
            if len(key) > 1:
                outputs.append(self._made(key, key[2]))
                new = True
        if not new:
            return  # the same numbers under the same name
        place = len(self._nodes)
        self._node(operator.name, takes[0], outputs)
        for key in written:
            self._wrote(key)
        self._keep(operator.base, given, takes[1], list(zip(made, outputs)), place)

    def _node(self, operator: str, takes: list[str], outputs: Sequence[int | None]) -> None:
        module = self._modules.setdefault(tuple(self.stack), len(self._modules))
        makes = ",".join("null" if number is None else str(number) for number in outputs)
        self._nodes.append(f'["{operator}",[{",".join(takes)}],[{makes}],{module}]')

    def _wrote(self, key: Key) -> None:
        """Others that lie in the same memory are made of what was written, too."""
        others = self._views.get(key[0], ())
        if len(others) < 2 or len(key) == 1:
            return
        for other in list(others):
            if other != key and len(other) > 1 and _meet(key, other):
                old, new = self._numbers[other], self._numbers[key]
                takes = [f'["self",{{"v":{old}}}]', f'["src",{{"v":{new}}}]']
                self._node("aten.slice_scatter.default", takes, [self._made(other, other[2])])

    # What is kept.

    def _keep(
        self, base: str, given: dict[str, Any], taken: list[int], made: list[tuple[Any, int | None]], place: int
    ) -> None:
        if base.startswith(_FUSED) and isinstance(given.get("query"), torch.Tensor):
            fused = self.fused[place] = Fused(given)
            for part in fused.parts():
                self._held.setdefault(self._key(part)[0], set()).add(-place - 1)
            return
        if any(word in base for word in _NOT_SEEN_INTO):
            self._not_into(base)
            return
        first, number = made[0] if made else (None, None)
        if not taken or number is None or not isinstance(first, torch.Tensor):
            return
        if base == "mul" and len(taken) == 2:
            # x · σ(x) is no gate, and its σ(x) may be large.
            for gate, features in (taken, taken[::-1]):
                if self._source.get(gate) == features:
                    self.kept.pop(gate, None)
        of = self._gate_of(base, given, taken[0], number)
        if of is not None:
            self._source[number] = of
            self._hold(number, first)
        elif base in _SOFTMAXES:
            if first.ndim >= 3 and first.shape[-1] == first.shape[-2] > 1:
                self._hold(number, first)
        elif base in _CARRIED and taken[0] in self.kept:
            for tensor, part in made:
                if isinstance(tensor, torch.Tensor) and part is not None:
                    self._hold(part, tensor)

    def _gate_of(self, base: str, given: dict[str, Any], taken: int, number: int) -> int | None:
        """What it is of, if an operation's result may be a gate."""
        if base in ("sigmoid", "hardsigmoid"):
            return taken
        if base in ("clamp", "clip", "hardtanh", "relu6"):
            low, high = given.get("min", given.get("min_val")), given.get("max", given.get("max_val"))
            if taken in self._plus_three and (base == "relu6" or (low == 0 and high == 6)):
                self._plus_three[number] = self._plus_three[taken]
            return taken if low == 0 and high == 1 else None
        other = _scalar(given.get("other"))
        if other is None:
            return None
        if base == "add" and other == 3:
            self._plus_three[number] = taken
        elif (base in ("div", "divide", "true_divide") and other == 6) or (base == "mul" and abs(other - 1 / 6) < 1e-6):
            return self._plus_three.get(taken)
        return None

    def _hold(self, number: int, tensor: torch.Tensor) -> None:
        self.kept[number] = tensor.detach()
        self._held.setdefault(self._key(tensor)[0], set()).add(number)

    def _copy_before(self, memory: Any) -> None:
        """What is kept stays as it was when it is written over."""
        for number in self._held.pop(memory, ()):
            if number < 0:
                self.fused[-number - 1].copied()
            elif number in self.kept:
                self.kept[number] = self.kept[number].clone()

    def _not_into(self, name: str) -> None:
        path = self.stack[-1][0] if self.stack else ""
        self.unseen.append((path or "forward", f"{name} is one operation, whose inside is not seen"))


def _scalar(value: Any) -> float | None:
    """A number; also one that lies in a tensor without sides, on the CPU."""
    if isinstance(value, torch.Tensor):
        value = None if value.ndim or value.device.type != "cpu" else value.item()
    return value if isinstance(value, (int, float)) else None


def _meet(one: Key, other: Key) -> bool:
    """Whether two tensors of one storage may have numbers in common: whether the stretches overlap in which they lie."""

    def stretch(key: Key) -> tuple[int, int]:
        _, offset, shape, stride, dtype = key
        last = offset + sum((length - 1) * step for length, step in zip(shape, stride))
        return offset * dtype.itemsize, (last + 1) * dtype.itemsize

    (start, end), (start2, end2) = stretch(one), stretch(other)
    return start < end2 and start2 < end
