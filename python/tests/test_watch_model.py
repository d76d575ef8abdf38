"""A model that is watched does not notice, and nothing of it is kept."""

from __future__ import annotations

import contextlib
import gc
import weakref

import nets
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack
from torch.utils.checkpoint import checkpoint

from cbam import ArgumentError, InputError
from cbam._watch import watch
from watching import alone, clean, compared, picture


def test_nothing_is_left_on_the_model() -> None:
    model = nets.small("conv")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modules = [vars(module).keys() for module in model.modules()]
    with watch(model):
        model(picture())
        assert not clean(model)
    assert clean(model) and [vars(module).keys() for module in model.modules()] == modules
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_no_tensor_stays_but_what_is_held() -> None:
    model, x = nets.small("conv"), picture()
    made: list[weakref.ref[torch.Tensor]] = []
    hooks = [
        module.register_forward_hook(lambda _, __, output: made.append(weakref.ref(output.untyped_storage()._weak_ref() and output)))
        for module in model.modules()
    ]
    watched = watch(model)
    with watched, torch.no_grad():
        output = model(x)
    del output
    for hook in hooks:
        hook.remove()
    held = {part.untyped_storage().data_ptr() for gate in watched.gates.values() for part in gate.parts}
    gc.collect()
    alive = [tensor for ref in made if (tensor := ref()) is not None]
    assert all(tensor.untyped_storage().data_ptr() in held for tensor in alive)
    parts = [weakref.ref(part) for gate in watched.gates.values() for part in gate.parts]
    assert len(parts) == 4
    del alive, watched
    gc.collect()
    assert not [ref for ref in parts if ref() is not None] and not [ref for ref in made if ref() is not None]


def test_what_is_held_during_the_block_is_freed_without_the_garbage_collector() -> None:
    model = nets.small("linear")
    gc.disable()
    try:
        with watch(model) as watched:
            model(picture())
        refs = [weakref.ref(part) for gate in watched.gates.values() for part in gate.parts]
        del watched
        assert not [ref for ref in refs if ref() is not None]
    finally:
        gc.enable()


def test_an_error_inside_leaves_nothing() -> None:
    model = nets.small("conv")
    with watch(model) as watched:
        for part in ("layer2.attention.sa", "stem.0", "fc"):
            module = model.get_submodule(part)
            hook = module.register_forward_pre_hook(lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                model(picture())
            hook.remove()
            assert not _get_current_dispatch_mode_stack()
            assert not torch.overrides._get_current_function_mode_stack()
        with pytest.raises(InputError, match="did not run inside the block, or not to its end"):
            _ = watched.seen
        model(picture())
        assert len(watched.gates) == 4
    with pytest.raises(ZeroDivisionError), watch(model) as watched:
        raise ZeroDivisionError
    assert clean(model)


def test_an_interrupt_inside_leaves_nothing() -> None:
    model = nets.small("conv")
    hook = model.layer2.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), watch(model) as watched:
        model(picture())
    hook.remove()
    assert clean(model) and not _get_current_dispatch_mode_stack()
    with watched:
        model(picture())
    assert len(watched.gates) == 4


def test_two_models_one_inside_the_other() -> None:
    outer, inner, x = nets.small("conv"), nets.small("coordinate"), picture()
    with watch(outer) as a, watch(inner) as b, watch(outer.layer1) as c, watch(outer) as d:
        inner(x)
        outer(x)
        inner(x)
    assert (len(a.gates), len(b.gates), len(c.gates), len(d.gates)) == (4, 2, 2, 4)
    assert list(c.gates) == ["attention.ca", "attention.sa"]
    assert torch.equal(c.gates["attention.ca"].values, a.gates["layer1.attention.ca"].values)
    assert all(torch.equal(one.values, other.values) for one, other in zip(a.gates.values(), d.gates.values(), strict=True))
    assert clean(outer) and clean(inner)
    # Not closed in the order in which they were opened.
    a, b = watch(outer), watch(inner)
    a.__enter__(), b.__enter__()
    a.__exit__(None, None, None)
    inner(x), outer(x)
    b.__exit__(None, None, None)
    assert len(b.gates) == 2 and clean(outer) and clean(inner)


def test_opened_again() -> None:
    model, x = nets.small("conv"), picture()
    watched = watch(model)
    with watched:
        model(x)
        with pytest.raises(ArgumentError, match="open already"), watched:
            pass
        model(x * 2)
    before = watched.gates["layer1.attention.ca"].values
    with watched:
        with pytest.raises(InputError):
            _ = watched.gates
        model(x)
    assert len(watched.gates) == 4 and not torch.equal(before, watched.gates["layer1.attention.ca"].values)
    assert clean(model)


def test_the_last_pass_counts() -> None:
    model, x, y = nets.small("conv"), picture(), picture(2, 3, 40, 32)
    with watch(model) as watched:
        model(y)
        assert watched.gates["layer1.attention.sa"].values.shape == (2, 1, 20, 16)
        model(x)
        assert watched.gates["layer1.attention.sa"].values.shape == (1, 1, 24, 32)
    with watch(model) as alone:
        model(x)
    assert all(torch.equal(one.values, alone.gates[name].values) for name, one in watched.gates.items())


@pytest.mark.parametrize("where", ["behind", "inside", "checkpoint", "checkpoint whole"])
def test_training(where: str) -> None:
    x, y = picture(4, 3, 32, 32), torch.randint(10, (4,))

    def grads(watching: bool) -> dict[str, torch.Tensor]:
        model = nets.small("linear").train()
        forward = model.forward
        if where == "checkpoint":
            layer1 = model.layer1.forward
            model.layer1.forward = lambda of: checkpoint(layer1, of, use_reentrant=False)  # type: ignore[method-assign]
        opening = watch(model) if watching else contextlib.nullcontext()
        with opening as watched:
            loss = F.cross_entropy(checkpoint(model, x, use_reentrant=False) if where == "checkpoint whole" else model(x), y)
            if where != "behind":
                loss.backward()
        if where == "behind":
            loss.backward()
        if watched is not None:
            assert len(watched.gates) == 4 and not any(gate.values.requires_grad for gate in watched.gates.values())
        assert forward and clean(model)
        return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}

    plain, seen = grads(False), grads(True)
    assert plain.keys() == seen.keys() and all(torch.equal(plain[name], seen[name]) for name in plain)


@pytest.mark.parametrize("style", ["conv", "functional", "sixth", "in place", "clamp", "coordinate", "bam", "eca"])
def test_modes_and_dtypes(style: str) -> None:
    model, x = nets.small(style), picture(2, 3, 32, 48)
    with torch.no_grad(), watch(model) as plain:
        model(x)
    with torch.inference_mode(), watch(model) as inference:
        model(x)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), watch(model) as autocast:
        model(x)
    with torch.no_grad(), watch(model.double()) as double:
        model(x.double())
    with torch.inference_mode(), watch(model.bfloat16()) as half:
        model(x.bfloat16())
    for watched, dtypes, close in (
        (inference, {torch.float32}, 1e-6), (double, {torch.float64}, 1e-5), (half, {torch.bfloat16}, 0.2),
        (autocast, {torch.bfloat16, torch.float32}, 0.2),
    ):  # fmt: skip
        assert list(watched.gates) == list(plain.gates) and not watched.left_out
        for name, gate in watched.gates.items():
            assert {part.dtype for part in gate.parts} <= dtypes and gate.kind == plain.gates[name].kind
            assert (gate.values.float() - plain.gates[name].values).abs().max() <= close


@pytest.mark.parametrize("need_weights", [True, False, None])
def test_attention_in_modes_and_dtypes(need_weights: bool | None) -> None:
    model, x = nets.Vit(need_weights=need_weights).eval(), picture(2, 3, 32, 48)
    with watch(model) as plain:
        model(x)
    with torch.inference_mode(), watch(model) as inference:
        model(x)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), watch(model) as autocast:
        model(x)
    with torch.no_grad(), watch(model.double()) as double:
        model(x.double())
    for watched, close in ((inference, 1e-6), (autocast, 2e-2), (double, 1e-6)):
        assert list(watched.attention) == list(plain.attention) and len(plain.attention) == 2
        for name, of in watched.attention.items():
            assert of.weights.dtype == torch.float32 and (of.weights - plain.attention[name].weights).abs().max() <= close


def test_what_is_kept_is_not_written_over() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.buffer = nn.Conv2d(3, 1, 3, padding=1), None

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            gate = torch.sigmoid(self.conv(x))
            told.append(gate.clone())
            y = x * gate
            gate.fill_(7)
            view = torch.sigmoid(self.conv(y))
            told.append(view.clone())
            z = y * view
            view[:, :, 1:].zero_()
            last = torch.sigmoid(self.conv(z))
            told.append(last.clone())
            return z * last, last

    told: list[torch.Tensor] = []
    with torch.no_grad(), watch(model := Writes()) as watched:
        _, given = model(picture())
        given.zero_()
    assert len(watched.gates) == 3
    for gate, before in zip(watched.gates.values(), told, strict=True):
        assert torch.equal(gate.values, before)


def test_memory_that_is_used_again_confuses_nothing() -> None:
    class Busy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(300))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for conv in self.convs:
                for _ in range(5):
                    x = (x + 0.01).clone()
                gate = torch.sigmoid(conv(x.mean((2, 3), keepdim=True)))
                told.append(gate.clone())
                x = x * gate * 2
                x = F.silu(x) + x.sigmoid() * x
            return x

    told: list[torch.Tensor] = []
    with torch.no_grad(), watch(model := Busy()) as watched:
        model(picture(1, 4, 3, 3))
    assert len(watched.gates) == len(told) == 300
    assert all(torch.equal(gate.values, before) for gate, before in zip(watched.gates.values(), told, strict=True))


def test_a_module_that_is_used_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.se = nn.Conv2d(3, 8, 3), nets.SE(8)
            self.alias = self.se

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.alias(self.se(self.conv(x)) + 1)

    seen, of = compared(Twice(), picture())
    assert list(seen.gates) == ["se", "se#2"] and of.gates == 2 and not of.missing and not of.invented


def test_a_model_that_calls_itself() -> None:
    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.se = nets.SE(3)

        def forward(self, x: torch.Tensor, deep: int = 2) -> torch.Tensor:
            x = self.se(x)
            return self(x, deep - 1) if deep else x

    seen, of = compared(Again(), picture())
    assert len(seen.gates) == 3 and not of.missing


def test_gates_of_two_kinds_in_one_module() -> None:
    seen, _ = compared(nets.small("one module"), picture())
    assert list(seen.gates) == [
        "channel:layer1.attention", "spatial:layer1.attention", "channel:layer2.attention", "spatial:layer2.attention"
    ]  # fmt: skip
    assert seen.gates["spatial:layer2.attention"].values.shape == (1, 1, 12, 16)
    assert nets.small("conv") and compared(nets.small("conv"), picture())[0].gates["channel:layer1.attention.ca"].kind == "channel"
    with pytest.raises(KeyError, match="no gate is called 'layer1.attention'; there are channel:layer1.attention, "):
        _ = seen.gates["layer1.attention"]
