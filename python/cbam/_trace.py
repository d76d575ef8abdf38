"""What runs inside a PyTorch model, seen operation by operation: which values are made of which, and those that may be gates or attention.

A dispatch mode sees every operation that reaches PyTorch's dispatcher, so also those inside ``nn.MultiheadAttention`` and fused
attention. Values are told from one another by their memory: the storage, and where and how a tensor lies in it. Storages are known by
weak references, so that no number is kept alive, and none is taken for another that has its place in memory later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from . import _cbam

_CARRIED = frozenset(_cbam.carried())  # operations that only give on the first tensor that they take
_FUSED = ("_scaled_dot_product", "scaled_dot_product")
_NOT_SEEN_INTO = ("attention", "attn", "_transformer_encoder")

Key = tuple[Any, ...]


class _Unfused(TorchFunctionMode):
    """Changes nothing. Where such a mode is active, ``nn.MultiheadAttention`` and encoder layers leave their fast path, which is one
    operation whose inside nobody sees."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in what a module takes or gives."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from tensors(getattr(value, name, None))


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
        return [self.query, self.key, *([] if self.mask is None else [self.mask])]

    def copied(self) -> None:
        """Away from memory that is about to be written over."""
        self.query, self.key = self.query.clone(), self.key.clone()
        self.mask = None if self.mask is None else self.mask.clone()

    def weights(self) -> torch.Tensor:
        """``softmax(q kᵀ · scale + mask)`` in ``float32``, ``[N, heads, T, S]``."""
        query, key = self.query.float(), self.key.float()
        if query.ndim == 4 and key.shape[1] != query.shape[1]:
            key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        scale = query.shape[-1] ** -0.5 if self.scale is None else self.scale
        scores = query @ key.transpose(-2, -1) * scale
        if self.causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        if self.mask is not None:
            if self.mask.dtype == torch.bool:
                scores = scores.masked_fill(~self.mask, float("-inf"))
            else:
                scores = scores + self.mask.float()
        return scores.softmax(-1)


class Recorder(TorchDispatchMode):
    """One pass of a model."""

    supports_higher_order_operators = True

    def __init__(self, given: list[torch.Tensor]) -> None:
        super().__init__()
        self._unfused = _Unfused()
        self.stack: list[tuple[str, str]] = []
        self.kept: dict[int, torch.Tensor] = {}
        self.fused: dict[int, Fused] = {}
        self.unseen: list[tuple[str, str]] = []
        self._source: dict[int, int] = {}
        self._shapes: list[list[int] | None] = []
        self._numbers: dict[Key, int] = {}
        self._storages: dict[int, StorageWeakRef] = {}
        self._views: dict[int, set[Key]] = {}
        self._held: dict[int, set[int]] = {}
        self._others: list[Any] = []
        self._nodes: list[Any] = []
        self._modules: dict[tuple[tuple[str, str], ...], int] = {}
        # The picture is what has four sides.
        self._inputs = [self._number(tensor) for tensor in sorted(given, key=lambda of: of.ndim != 4)]
        self._outputs: list[int] = []

    def start(self) -> None:
        self._unfused.__enter__()
        self.__enter__()

    def stop(self) -> None:
        self.__exit__(None, None, None)
        self._unfused.__exit__(None, None, None)

    def ended(self, output: Any) -> None:
        self._outputs = [number for tensor in tensors(output) if (number := self._known(tensor)) is not None]

    def value_of(self, tensor: torch.Tensor) -> int | None:
        """The number of a tensor that was seen."""
        return self._known(tensor)

    def json(self) -> str:
        """What ran, as the core reads it."""
        trace = {
            "shapes": self._shapes,
            "inputs": self._inputs,
            "outputs": self._outputs,
            "modules": [list(stack) for stack in self._modules],
            "nodes": self._nodes,
        }
        return json.dumps(trace, separators=(",", ":"), allow_nan=False)

    # What a tensor is.

    def _key(self, tensor: torch.Tensor) -> Key:
        try:
            storage = tensor.untyped_storage()
            place = storage._cdata
            if place not in self._storages:
                self._storages[place] = StorageWeakRef(storage)
            return (place, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        except (NotImplementedError, RuntimeError):
            # Of another library, or of another layout: it is known by itself, as long as it lives.
            self._others.append(tensor)
            return (id(tensor),)

    def _known(self, tensor: torch.Tensor) -> int | None:
        return self._numbers.get(self._key(tensor))

    def _number(self, tensor: torch.Tensor) -> int:
        key = self._key(tensor)
        number = self._numbers.get(key)
        return self._made(tensor, key) if number is None else number

    def _made(self, tensor: torch.Tensor, key: Key) -> int:
        self._shapes.append(list(tensor.shape))
        number = self._numbers[key] = len(self._shapes) - 1
        self._views.setdefault(key[0], set()).add(key)
        return number

    # What is taken.

    def _argument(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return {"v": self._number(value)}
        if isinstance(value, bool):
            return {"bool": value}
        if isinstance(value, int):
            return {"int": value}
        if isinstance(value, float):
            return {"float": value} if abs(value) < float("inf") else "other"
        if isinstance(value, (list, tuple)):
            if value and all(item is None or isinstance(item, torch.Tensor) for item in value):
                return {"vs": [None if item is None else self._number(item) for item in value]}
            if all(isinstance(item, int) and not isinstance(item, bool) for item in value):
                return {"ints": list(value)}
            if all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in value):
                return {"floats": [float(item) for item in value]}
        return "other"

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        schema = getattr(func, "_schema", None)
        if schema is None:
            self._not_into(getattr(func, "__name__", str(func)))
            return func(*args, **kwargs)
        base = schema.name.split("::")[-1]
        given = {of.name: value for of, value in zip(schema.arguments, args)}
        given.update(kwargs)
        written = [
            value
            for of in schema.arguments
            if of.alias_info is not None and of.alias_info.is_write
            for value in tensors(given.get(of.name))
        ]
        for tensor in written:
            self._copy_before(tensor)
        takes = [[name, self._argument(value)] for name, value in given.items() if value is not None]
        result = func(*args, **kwargs)
        self._record(schema.name, base, given, takes, written, result)
        return result

    def _record(
        self, full: str, base: str, given: dict[str, Any], takes: list[Any], written: list[torch.Tensor], result: Any
    ) -> None:
        made = list(result) if isinstance(result, (list, tuple)) else [result]
        written_keys = {self._key(tensor) for tensor in written}
        outputs: list[int | None] = []
        new = False
        for tensor in made:
            if not isinstance(tensor, torch.Tensor):
                outputs.append(None)
                continue
            key = self._key(tensor)
            number = self._numbers.get(key)
            if number is None or key in written_keys:
                number, new = self._made(tensor, key), True
            outputs.append(number)
        for tensor in written:
            key = self._key(tensor)
            if not any(isinstance(of, torch.Tensor) and self._key(of) == key for of in made):
                outputs.append(self._made(tensor, key))
                new = True
        if not new:
            return  # the same numbers under the same name
        namespace = full.split("::")[0]
        self._node(f"{namespace}.{base.rstrip('_') if written else base}.default", takes, outputs)
        for tensor in written:
            self._wrote(tensor)
        self._keep(base.rstrip("_"), given, takes, made, outputs)

    def _node(self, operator: str, takes: list[Any], outputs: list[int | None]) -> None:
        stack = tuple(self.stack)
        module = self._modules.setdefault(stack, len(self._modules))
        self._nodes.append([operator, takes, outputs, module])

    def _wrote(self, tensor: torch.Tensor) -> None:
        """Others that lie in the same memory are made of what was written, too."""
        key = self._key(tensor)
        for other in list(self._views.get(key[0], ())):
            if other != key and other in self._numbers and len(other) > 1:
                old, new = self._numbers[other], self._numbers[key]
                self._shapes.append(list(other[2]))
                self._numbers[other] = len(self._shapes) - 1
                takes = [["self", {"v": old}], ["src", {"v": new}]]
                self._node("aten.slice_scatter.default", takes, [self._numbers[other]])

    # What is kept.

    def _keep(
        self, base: str, given: dict[str, Any], takes: list[Any], made: list[Any], outputs: list[int | None]
    ) -> None:
        taken = [of["v"] for _, of in takes if isinstance(of, dict) and "v" in of]
        first = made[0] if made else None
        if base.startswith(_FUSED) and isinstance(given.get("query"), torch.Tensor):
            fused = Fused(given)
            self.fused[len(self._nodes) - 1] = fused
            for part in fused.parts():
                self._held.setdefault(self._key(part)[0], set()).add(-len(self._nodes))
            return
        if any(word in base for word in _NOT_SEEN_INTO):
            self._not_into(base)
            return
        if not isinstance(first, torch.Tensor) or outputs[0] is None:
            return
        if base == "mul" and len(taken) == 2:
            # x · σ(x) is no gate, and its σ(x) may be large.
            for gate, features in (taken, taken[::-1]):
                if self._source.get(gate) == features:
                    self.kept.pop(gate, None)
        if self._may_be_a_gate(base, given) and taken:
            self._source[outputs[0]] = taken[0]
            self._hold(outputs[0], first)
        elif base in ("_softmax", "_safe_softmax", "softmax"):
            if first.ndim >= 3 and first.shape[-1] == first.shape[-2] > 1:
                self._hold(outputs[0], first)
        elif base in _CARRIED and taken and taken[0] in self.kept:
            for tensor, number in zip(made, outputs):
                if isinstance(tensor, torch.Tensor) and number is not None:
                    self._hold(number, tensor)

    @staticmethod
    def _may_be_a_gate(base: str, given: dict[str, Any]) -> bool:
        if base in ("sigmoid", "hardsigmoid"):
            return True
        if base in ("clamp", "clip", "hardtanh"):
            ends = [given.get("min", given.get("min_val")), given.get("max", given.get("max_val"))]
            return ends == [0, 1]
        other = given.get("other")
        if isinstance(other, torch.Tensor):
            if other.ndim or other.device.type == "meta":
                return False
            other = other.item() if other.device.type == "cpu" else None
        if not isinstance(other, (int, float)):
            return False
        return (base == "div" and other == 6) or (base == "mul" and abs(other - 1 / 6) < 1e-6)

    def _hold(self, number: int, tensor: torch.Tensor) -> None:
        self.kept[number] = tensor.detach()
        self._held.setdefault(self._key(tensor)[0], set()).add(number)

    def _copy_before(self, written: torch.Tensor) -> None:
        """What is kept stays as it was when it is written over."""
        for number in self._held.pop(self._key(written)[0], ()):
            if number < 0:
                self.fused[-number - 1].copied()
            elif number in self.kept:
                self.kept[number] = self.kept[number].clone()

    def _not_into(self, name: str) -> None:
        path = self.stack[-1][0] if self.stack else ""
        self.unseen.append((path or "forward", f"{name} is one operation, whose inside is not seen"))
