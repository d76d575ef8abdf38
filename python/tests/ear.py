"""An ear beside ``cbam.watch``: what the functions said that made gates and attention."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


def unfused(
    query: torch.Tensor, key: torch.Tensor, value: Any, attn_mask: torch.Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> torch.Tensor:
    """The weights of ``scaled_dot_product_attention`` in ``float64``."""
    query, key = query.detach().double(), key.detach().double()
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = query @ key.mT * (scale if scale is not None else 1 / math.sqrt(query.shape[-1]))
    if is_causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -math.inf)
    if attn_mask is not None:
        boolean = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if boolean else scores + attn_mask.double()
    powers = (scores - scores.amax(-1, keepdim=True)).exp()
    return (powers / powers.sum(-1, keepdim=True)).nan_to_num(0)


class Heard(contextlib.AbstractContextManager["Heard"]):
    """Hears every call of the functions that make gates and attention, by putting others in their place: of ``records`` each is what it
    is (``gate``, ``six``, ``softmax``), the module and the result."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.records: list[tuple[str, str, torch.Tensor]] = []
        self._path: list[str] = []
        self._undo: list[Callable[[], object]] = []

    def __enter__(self) -> Heard:
        for where, name, kind, made in (
            (torch, "sigmoid", "gate", None), (torch, "sigmoid_", "gate", None), (torch.Tensor, "sigmoid", "gate", None),
            (torch.Tensor, "sigmoid_", "gate", None), (F, "hardsigmoid", "gate", None), (torch, "softmax", "softmax", None),
            (torch.Tensor, "softmax", "softmax", None), (F, "scaled_dot_product_attention", "softmax", unfused),
            (F, "relu6", "six", lambda x, inplace=False: F.hardtanh(x, 0.0, 6.0) / 6), (torch, "clamp", "six", None),
            (torch.Tensor, "clamp", "six", None),
        ):
            self._put(where, name, kind, made)
        for path, module in self.model.named_modules():
            enter = module.register_forward_pre_hook(lambda _, __, path=path: self._path.append(path))
            leave = module.register_forward_hook(lambda *_: (self._path.pop(), None)[1], always_call=True)
            self._undo += [enter.remove, leave.remove]
        self._undo.append(functools.partial(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled()))
        torch.backends.mha.set_fastpath_enabled(False)
        return self

    def __exit__(self, *_: object) -> None:
        for undo in reversed(self._undo):
            undo()

    def _put(self, where: Any, name: str, kind: str, made: Callable[..., torch.Tensor] | None) -> None:
        own, before = name in vars(where), getattr(where, name)

        @functools.wraps(before)
        def heard(*args: Any, **kwargs: Any) -> Any:
            value = None if made is None else made(*args, **kwargs)
            result = before(*args, **kwargs)
            path = self._path[-1] if self._path else ""
            self.records.append((kind, path, (result if value is None else value).detach().clone()))
            return result

        setattr(where, name, heard)
        self._undo.append(functools.partial(setattr, where, name, before) if own else functools.partial(delattr, where, name))


def same(part: torch.Tensor, heard: torch.Tensor) -> bool:
    """Whether a gate is what was heard, or a part of it, in whatever order of sides."""
    part, heard = part.detach().float(), heard.float()
    if part.numel() == heard.numel():
        orders = [heard] + ([heard.permute(0, 3, 1, 2), heard.transpose(2, 3), heard.transpose(1, 2)] if heard.ndim == 4 else [])
        return any(bool((part.flatten() - of.flatten()).abs().max() <= 1e-6) for of in orders)
    times, rest = divmod(heard.numel(), max(part.numel(), 1))
    return part.numel() > 1 and 1 < times <= 64 and rest == 0 and bool(torch.isin(part, heard).all())


class Compared:
    """What a watch saw, beside what was heard.

    Attributes:
        gates, attention, left_out: how many that were heard are in each.
        missing: those that are in none, as kind, module and shape.
        invented: what was seen and not heard.
    """

    def __init__(self, seen: Any, records: list[tuple[str, str, torch.Tensor]]) -> None:
        self.gates = self.attention = self.left_out = 0
        self.missing: list[tuple[str, str, list[int]]] = []
        left = [name.split("#")[0] for name, _ in seen.left_out]
        known: set[str] = set()
        for kind, path, heard in records:
            if kind != "softmax":
                by = {name for name, gate in seen.gates.items() if any(same(part, heard) for part in gate.parts)}
                self.gates += bool(by)
            else:
                by = {name for name, of in seen.attention.items() if same(of.weights, heard) and of.weights.numel() == heard.numel()}
                self.attention += bool(by)
            known |= by
            if by or kind == "six":
                continue
            if any(path == name or path.startswith(name + ".") or name == "forward" for name in left):
                self.left_out += 1
            else:
                self.missing.append((kind, path, list(heard.shape)))
        self.invented = [name for name in [*seen.gates, *seen.attention] if name not in known]
