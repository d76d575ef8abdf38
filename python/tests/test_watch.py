"""A model watched while it runs: what is seen is what the model had, nothing is missed silently, and the model does not notice."""

from __future__ import annotations

import contextlib
import gc
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import nets
import numpy as np
import pytest
import timm
import timm.layers
import torch
import torch.nn.functional as F
import torchvision
from nets import Compared, Heard
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack
from torch.utils.checkpoint import checkpoint

from cbam import ArgumentError, CbamError, InputError
from cbam._watch import Seen, watch


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Each test begins with the same numbers, and leaves nothing behind in PyTorch."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    fused = timm.layers.use_fused_attn()
    yield
    timm.layers.set_fused_attn(bool(fused))
    torch.set_num_threads(threads)
    assert not _get_current_dispatch_mode_stack()
    assert not torch.overrides._get_current_function_mode_stack()


def picture(*shape: int) -> torch.Tensor:
    return torch.randn(*shape or (1, 3, 48, 64))


def clean(model: nn.Module) -> bool:
    """Whether no hook is left on a model."""
    return not any(
        module._forward_hooks or module._forward_pre_hooks or module._forward_hooks_always_called for module in model.modules()
    )


def first(output: Any) -> torch.Tensor:
    """The first tensor that a model gives out."""
    while not isinstance(output, torch.Tensor):
        output = next(iter(output.values())) if isinstance(output, dict) else output[0]
    return output


def compared(model: nn.Module, x: torch.Tensor) -> tuple[Seen, Compared]:
    """What is seen of a model and what is heard, by themselves; and that what it gives out stays the same."""
    with torch.no_grad():
        with Heard(model) as heard:
            plain = model(x)
        with watch(model) as watched:
            output = model(x)
    torch.testing.assert_close(first(output), first(plain), rtol=0, atol=0 if no_fast_path(model) else 1e-6)
    assert clean(model)
    return watched.seen, Compared(watched.seen, heard.records)


def no_fast_path(model: nn.Module) -> bool:
    return not any(isinstance(module, (nn.MultiheadAttention, nn.TransformerEncoderLayer)) for module in model.modules())


# What is seen.


@pytest.mark.parametrize("style", [*nets.STYLES, *nets.BLOCKS])
@pytest.mark.parametrize(("batch", "layout"), [(1, torch.contiguous_format), (3, torch.channels_last)])
def test_styles(style: str, batch: int, layout: torch.memory_format) -> None:
    model = nets.small(style).to(memory_format=layout)
    seen, of = compared(model, picture(batch, 3, 48, 64).to(memory_format=layout))
    assert [gate.kind for gate in seen.gates.values()] == nets.KINDS.get(style, ["channel", "spatial"] * 2)
    assert (of.missing, of.invented, seen.left_out) == ([], [], [])
    assert all(name.split(":")[-1].startswith(("layer1.0.", "layer1.attention", "layer2.attention")) for name in seen.gates)
    for gate in seen.gates.values():
        assert gate.values.shape[0] == batch and gate.values.min() >= 0 and gate.values.max() <= 1


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{
        f"timm/{name}": lambda name=name: timm.create_model(name)
        for name in """test_byobnet test_convnext test_efficientnet test_efficientnet_gn test_efficientnet_evos test_mambaout test_nfnet
        test_resnet test_vit test_vit2 test_vit4 seresnet18 ecaresnet26t mobilenetv3_small_050 ghostnet_050
        regnety_002 tf_efficientnet_b0 rexnet_100 semnasnet_075 hrnet_w18_small resnet18 lcnet_050
        ese_vovnet19b_dw repvit_m0_9 fbnetv3_b hardcorenas_b mobilenetv4_conv_small_050 convnextv2_atto edgenext_xx_small
        efficientnet_lite0 densenet121 efficientvit_b0 nf_regnet_b0 sebotnet33ts_256""".split()
    },
    **{
        f"torchvision/{name}": lambda name=name: torchvision.models.get_model(name, weights=None)
        for name in ["resnet18", "mobilenet_v3_small", "regnet_y_400mf", "efficientnet_b0", "squeezenet1_1", "shufflenet_v2_x0_5"]
    },
    "timm/deit_tiny_patch16_224": lambda: timm.create_model("deit_tiny_patch16_224", img_size=64),
    "timm/deit_tiny_distilled": lambda: timm.create_model("deit_tiny_distilled_patch16_224", img_size=64),
    "timm/beit": lambda: timm.create_model("beit_base_patch16_224", img_size=64, depth=3, embed_dim=48, num_heads=4),
    "timm/eva02": lambda: timm.create_model("eva02_tiny_patch14_224", img_size=56, depth=3),
    "timm/cait": lambda: timm.create_model("cait_xxs24_224", img_size=64, depth=4),
    "timm/dinov3": lambda: timm.create_model("vit_tiny_patch16_dinov3_qkvb", img_size=64, depth=3),
    "timm/reg4": lambda: timm.create_model("vit_small_patch14_reg4_dinov2", img_size=56, depth=3, embed_dim=48, num_heads=3),
    "timm/relpos": lambda: timm.create_model("vit_relpos_small_patch16_224", img_size=64, depth=3, embed_dim=48, num_heads=3),
    "timm/swin": lambda: timm.create_model("swin_tiny_patch4_window7_224", embed_dim=12, depths=(2, 2), num_heads=(2, 4)),
    "timm/xcit": lambda: timm.create_model("xcit_nano_12_p16_224", img_size=64, depth=3),
    "torchvision/vit": lambda: torchvision.models.VisionTransformer(64, 16, 3, 4, 32, 64),
    "torchvision/swin": lambda: torchvision.models.SwinTransformer([4, 4], 12, [2, 2], [2, 4], [7, 7]),
}
SIDE = {"timm/swin": 224, "torchvision/swin": 224, "timm/eva02": 56, "timm/reg4": 56, "timm/test_vit": 160,
        "timm/test_vit2": 160, "timm/test_vit4": 160, "timm/sebotnet33ts_256": 256, "timm/edgenext_xx_small": 128}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str) -> None:
    model, side = NETWORKS[name]().eval(), SIDE.get(name, 64)
    seen, of = compared(model, picture(1, 3, side, side))
    missing = [found for found in of.missing if not known_to_be_missing(name, found)]
    assert (missing, of.invented) == ([], [])
    assert of.gates + of.attention + of.left_out > 0 or not heard_of(model, side)
    assert len(seen.gates) >= of.gates


def heard_of(model: nn.Module, side: int) -> int:
    with Heard(model) as heard, torch.no_grad():
        model(picture(1, 3, side, side))
    return len([kind for kind, *_ in heard.records if kind != "six"])


def known_to_be_missing(name: str, found: tuple[str, str, list[int]]) -> bool:
    """Attention of one query over all tokens is no attention over patches."""
    kind, _, shape = found
    return kind == "softmax" and shape[-2] == 1 and name in ("timm/cait", "timm/xcit")


@pytest.mark.parametrize("need_weights", [True, False, None])
@pytest.mark.parametrize("grad", [True, False])
def test_multihead_attention(need_weights: bool | None, grad: bool) -> None:
    model, x = nets.Vit(need_weights=need_weights).eval(), picture(2, 3, 32, 48)
    layers = [module for module in model.modules() if isinstance(module, nn.MultiheadAttention)]
    told: list[torch.Tensor] = []

    def ask(module: nn.MultiheadAttention, args: Any, kwargs: Any, _: Any) -> None:
        query = args[0]
        told.append(type(module).forward(module, query, query, query, need_weights=True, average_attn_weights=False)[1].detach())

    with torch.set_grad_enabled(grad):
        plain = model(x)
        with watch(model) as watched:
            output = model(x)
        assert (output - plain).abs().max() <= 1e-6
        torch.backends.mha.set_fastpath_enabled(False)
        hooks = [layer.register_forward_hook(ask, with_kwargs=True) for layer in layers]
        model(x)
        torch.backends.mha.set_fastpath_enabled(True)
        for hook in hooks:
            hook.remove()
    assert len(watched.attention) == len(told) == 2 and not watched.left_out
    for of, weights in zip(watched.attention.values(), told, strict=True):
        assert (of.heads, of.grid, of.before, of.class_token) == (2, (4, 6), 1, True)
        assert (of.weights - weights).abs().max() <= 1e-6 and of.weights.dtype == torch.float32
        assert (of.weights.sum(-1) - 1).abs().max() <= 1e-5
        assert torch.equal(of.of(1), of.weights[1])


@pytest.mark.parametrize("name", ["test_vit", "test_vit3", "vit_relpos_small_patch16_224", "beit_base_patch16_224"])
def test_fused_attention_is_as_the_unfused(name: str) -> None:
    def make(fused: bool) -> nn.Module:
        timm.layers.set_fused_attn(fused)
        torch.manual_seed(1)
        return timm.create_model(name, **({} if "test" in name else {"img_size": 64, "depth": 3, "embed_dim": 48, "num_heads": 4})).eval()

    fused, unfused, told = make(True), make(False), list[torch.Tensor]()
    for path, module in unfused.named_modules():
        if path.endswith("attn_drop") and "pool" not in path:
            module.register_forward_pre_hook(lambda _, args: told.append(args[0]))
    x = picture(2, 3, 160, 160) if "test" in name else picture(2, 3, 64, 64)
    with torch.no_grad():
        unfused(x)
        with watch(fused) as watched:
            fused(x)
        with watch(unfused) as again:
            again_told = len(told)
            unfused(x)
    assert len(told) == 2 * again_told and list(watched.attention) == list(again.attention) and watched.attention
    # What one layer has of the other's rounding grows from layer to layer.
    for of, same, weights in zip(watched.attention.values(), again.attention.values(), told[again_told:], strict=True):
        assert torch.equal(same.weights, weights)
        assert (of.weights - weights).abs().max() <= 1e-6


def test_masks_scales_and_shared_keys() -> None:
    class Attends(nn.Module):
        def __init__(self, **how: Any) -> None:
            super().__init__()
            self.patch, self.qkv, self.how = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 48), how

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.patch(x).flatten(2).transpose(1, 2)
            q, k, v = self.qkv(x).unflatten(-1, (3, 4, 4)).permute(2, 0, 3, 1, 4)
            if self.how.get("enable_gqa"):
                k, v = k[:, :2], v[:, :2]
            return F.scaled_dot_product_attention(q, k, v, **self.how).transpose(1, 2).flatten(2).mean(1)

    allowed = torch.rand(3, 1, 12, 12) > 0.4
    allowed[1, 0, 3] = False
    for how in (
        {}, {"is_causal": True}, {"scale": 0.3}, {"attn_mask": torch.randn(12, 12)}, {"attn_mask": allowed},
        {"attn_mask": torch.randn(3, 4, 12, 12)}, {"enable_gqa": True},
    ):  # fmt: skip
        for grad in (False, True):
            model, x = Attends(**how), picture(3, 3, 24, 32)
            with torch.set_grad_enabled(grad), Heard(model) as heard:
                model(x)
            with torch.set_grad_enabled(grad), watch(model) as watched:
                model(x)
            (of,) = watched.attention.values()
            one = of.of(1).clone()
            told = heard.records[0][2].float()
            assert (of.weights - told).abs().max() <= 1e-6, how
            assert (one - told[1]).abs().max() <= 1e-6 and of.grid == (3, 4)


# The model does not notice.


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


# How it is called.


@pytest.mark.parametrize("gives", ["dict", "tuple", "dataclass"])
def test_keywords_and_outputs_of_other_libraries(gives: str) -> None:
    torch.manual_seed(3)
    model = nets.Wrapped(gives).eval()
    with watch(model) as watched:
        output = model(labels=torch.zeros(2, 4, dtype=torch.long), pixel_values=picture(2, 3, 48, 64))
    assert list(watched.gates) == [f"net.layer{i}.attention.{kind}" for i in (1, 2) for kind in ("ca", "sa")]
    assert watched.seen.pictures == 2 and output is not None


def test_pictures_in_a_list() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nets.small("conv")

        def forward(self, pictures: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
            return [{"scores": row} for row in self.net(torch.stack(pictures))]

    with watch(model := Detector()) as watched:
        model([picture(3, 48, 64), picture(3, 48, 64)])
    assert len(watched.gates) == 4 and watched.seen.pictures == 2


@pytest.mark.parametrize("how", ["torch.compile", "model.compile", "before it is watched"])
def test_compiled(how: str) -> None:
    model, x = nets.small("conv"), picture()
    plain = model(x)
    compiled: Any = model
    if how == "model.compile":
        model.compile(backend="eager")
    else:
        compiled = torch.compile(model, backend="eager")
    compiled(x)
    with watch(compiled if how == "torch.compile" else model) as watched:
        output = compiled(x)
    assert len(watched.gates) == 4 and torch.equal(output, plain)
    assert "layer1.attention.ca" in watched.gates and clean(model)
    assert torch.equal(compiled(x), plain)


def test_data_parallel() -> None:
    model, x = nets.small("conv"), picture(2, 3, 32, 32)
    with watch(nn.DataParallel(model)) as watched:
        nn.DataParallel(model)(x)
    assert len(watched.gates) == 4 and "layer1.attention.ca" in watched.gates
    parallel = nn.DataParallel(model)
    parallel.device_ids = [0, 1]
    with pytest.raises(ArgumentError, match="DataParallel runs copies in threads of their own"):
        watch(parallel)


def test_torchscript() -> None:
    model, x = nets.small("conv"), picture()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(model, x)
        scripted = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid()))
        within = nn.Sequential(nn.Conv2d(3, 4, 3), torch.jit.script(nets.SE(4)))
    with watch(model) as plain:
        model(x)
    for _ in range(3):
        with torch.no_grad(), watch(traced) as watched:
            traced(x)
        told = list(plain.gates.values())
        assert [gate.kind for gate in watched.gates.values()] == [gate.kind for gate in told]
        for gate, of in zip(watched.gates.values(), told, strict=True):
            assert (gate.values - of.values).abs().max() <= 1e-6
    with pytest.raises(ArgumentError, match="scripted"), watch(scripted):
        pass
    with watch(within) as watched:
        within(x)
    assert clean(within[0]) and [gate.kind for gate in watched.gates.values()] == ["channel"]


def test_exported() -> None:
    model, x = nets.small("conv"), picture()
    exported = torch.export.export(model, (x,)).module()
    with watch(exported) as watched:
        exported(x)
    assert [gate.kind for gate in watched.gates.values()] == ["channel", "spatial"] * 2


def test_another_thread() -> None:
    model, x = nets.small("conv"), picture()
    with watch(model) as watched:
        thread = threading.Thread(target=model, args=(x,))
        thread.start()
        thread.join()
    with watch(model) as plain:
        model(x)
    assert all(torch.equal(gate.values, plain.gates[name].values) for name, gate in watched.gates.items()) and len(watched.gates) == 4


def test_threads_at_once() -> None:
    model = nets.small("conv")
    pictures = [picture(2, 3, 32, 32 + 8 * index) for index in range(4)]
    told = []
    for x in pictures:
        with watch(model) as plain, torch.no_grad():
            model(x)
        told.append(plain.seen)
    failed: list[BaseException] = []

    def work(x: torch.Tensor) -> None:
        try:
            torch.set_num_threads(1)
            with torch.no_grad():
                for _ in range(6):
                    model(x)
        except BaseException as error:
            failed.append(error)

    for _ in range(5):
        with watch(model) as watched:
            threads = [threading.Thread(target=work, args=(x,)) for x in pictures]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert not failed and len(watched.gates) == 4 and clean(model)
        (like,) = [seen for seen in told if seen.gates["layer1.attention.sa"].values.shape == watched.gates["layer1.attention.sa"].values.shape]
        for name, gate in watched.gates.items():
            assert (gate.values - like.gates[name].values).abs().max() <= 1e-6


def test_a_block_that_ends_while_another_thread_is_inside() -> None:
    model, x = nets.small("conv"), picture()
    inside, go = threading.Event(), threading.Event()
    stacks: list[int] = []

    def wait(*_: Any) -> None:
        inside.set()
        go.wait(10)

    def work() -> None:
        model(x)
        stacks.append(len(_get_current_dispatch_mode_stack()) + len(torch.overrides._get_current_function_mode_stack()))

    hook = model.layer2.register_forward_pre_hook(wait)
    with watch(model) as watched:
        thread = threading.Thread(target=work)
        thread.start()
        inside.wait(10)
    go.set()
    thread.join()
    hook.remove()
    assert stacks == [0] and clean(model)
    with watched:
        model(x)
    assert len(watched.gates) == 4


def test_what_did_not_run() -> None:
    model, x = nets.small("conv"), picture()
    for run in (lambda: None, lambda: model.layer1(model.stem(x)), lambda: model.forward(x)):
        with watch(model) as watched:
            run()
        with pytest.raises(InputError, match="did not run inside the block.*watch the module that you call"):
            _ = watched.seen
        assert clean(model)
    with pytest.raises(ArgumentError, match="str is no torch.nn.Module"):
        watch("resnet50")  # type: ignore[arg-type]


def test_flex_attention_is_left_out_with_a_word() -> None:
    from torch.nn.attention.flex_attention import flex_attention

    class Flex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch, self.qkv, self.se = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 48), nets.SE(16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.patch(x)
            q, k, v = self.qkv(x.flatten(2).transpose(1, 2)).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
            y = flex_attention(q, k, v).transpose(1, 2).flatten(2)
            return self.se(y.transpose(1, 2).reshape(x.shape))

    model, x = Flex(), picture(1, 3, 32, 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.no_grad(), watch(model) as watched:
            model(x)
    assert not watched.attention and [why for _, why in watched.left_out if "flex_attention" in why]
    assert list(watched.gates) == ["se"]


# What it is for.


def test_looks() -> None:
    model, x = nets.small("conv"), picture(3, 3, 48, 64)
    with watch(model) as watched, torch.no_grad():
        logits = model(x)
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    for number in (0, 2):
        look = watched.look(pixels, number, logits=logits)
        assert set(look.maps) <= set(watched.seen.maps) and look.asked[0] == "spatial:layer2.attention.sa"
        for name, gate in watched.gates.items():
            of = gate.values[number]
            expected = of[:, 0, 0] if gate.kind == "channel" else of[0]
            np.testing.assert_allclose(look.maps[f"{gate.kind}:{name}"], expected.numpy(), atol=1e-6)
        assert look.top[0].number == int(logits[number].argmax())
        np.testing.assert_allclose(look.probabilities, logits[number].softmax(0).numpy(), atol=1e-6)
    assert look.overlay().shape == (60, 80, 3) and look.panel().ndim == 3 and "<html" in look.page()
    one = watched.look(pixels, maps="spatial:layer1.attention.sa", seen=(8, 6, 64, 48))
    assert one.asked == ["spatial:layer1.attention.sa"] and one.map.shape == (24, 32) and one.seen == (8, 6, 64, 48)


@pytest.mark.parametrize("name", ["coordinate", "bam"])
def test_looks_of_other_gates(name: str) -> None:
    model, x = nets.small(name), picture(2, 3, 48, 64)
    with watch(model) as watched, torch.no_grad():
        model(x)
    look = watched.look(np.zeros((48, 64, 3), np.uint8), 1)
    for path, gate in watched.gates.items():
        if name == "bam":
            of = gate.values[1]
            np.testing.assert_allclose(look.maps[f"channel:{path}"], of.mean((1, 2)).numpy(), atol=1e-5)
            np.testing.assert_allclose(look.maps[f"spatial:{path}"], of.mean(0).numpy(), atol=1e-5)
        else:
            rows, columns = sorted((part[1] for part in gate.parts), key=lambda part: part.shape[-1])
            np.testing.assert_allclose(look.maps[f"coordinate:{path}"], (rows * columns).mean(0).numpy(), atol=1e-5)


def test_looks_of_attention() -> None:
    model, x = nets.Vit().eval(), picture(3, 3, 32, 48)
    with watch(model) as watched, torch.no_grad():
        logits = model(x)
    pixels, tokens = np.zeros((64, 96, 3), np.uint8), 25
    name, of = list(watched.attention.items())[-1]
    maps = ["patch", "patch@87,6", *(found for found in watched.seen.maps if not found.startswith("spatial"))]
    look = watched.look(pixels, 1, maps=maps, logits=logits)
    weights = of.weights[1, :, :, 1:] * tokens
    mean = weights.mean(0)
    np.testing.assert_allclose(look.maps["patch"], mean[1:].mean(0).reshape(4, 6).numpy(), atol=1e-5)
    np.testing.assert_allclose(look.maps["patch@87,6"], mean[1 + 5].reshape(4, 6).numpy(), atol=1e-5)
    np.testing.assert_allclose(look.maps["cls"], mean[0].reshape(4, 6).numpy(), atol=1e-5)
    assert look.overlay("cls").shape == (64, 96, 3) and look.panel().ndim == 3 and "<html" in look.page()
    assert name in {stage for stage in watched.attention}


def test_looks_that_cannot_be() -> None:
    model, x = nets.small("conv"), picture(2, 3, 48, 64)
    with watch(model) as watched, torch.no_grad():
        logits = model(x)
    pixels = np.zeros((48, 64, 3), np.uint8)
    for number in (2, -1):
        with pytest.raises(ArgumentError, match=f"number: {number} "):
            watched.look(pixels, number)
    for maps, word in (("spatial:none", "none"), ("patch", "patch"), ("nonsense!", "nonsense")):
        with pytest.raises(CbamError, match=word):
            watched.look(pixels, maps=maps)
    with pytest.raises(InputError, match="logits: have shape"):
        watched.look(pixels, logits=logits[None])
    with pytest.raises(CbamError, match="labels"):
        watched.look(pixels, logits=logits, labels=["one"])
    with pytest.raises(CbamError, match="seen"):
        watched.look(pixels, seen=(0, 0, 100, 10))
    with watch(plain := torchvision.models.squeezenet1_1()) as nothing:
        plain(picture(1, 3, 64, 64))
    with pytest.raises(InputError, match="no gate and no attention"):
        nothing.look(pixels)
