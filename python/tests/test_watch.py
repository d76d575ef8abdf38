"""A model watched while it runs: what is seen is what the model had, nothing is missed silently, and the model does not notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nets
import pytest
import timm
import timm.layers
import torch
import torch.nn.functional as F
import torchvision
from ear import Heard
from torch import nn

from cbam._watch import watch
from watching import alone, compared, picture


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
    assert (of.missing, of.invented) == ([], [])
    assert of.gates + of.attention + of.left_out > 0 or not heard_of(model, side)
    assert len(seen.gates) >= of.gates


def heard_of(model: nn.Module, side: int) -> int:
    with Heard(model) as heard, torch.no_grad():
        model(picture(1, 3, side, side))
    return len([kind for kind, *_ in heard.records if kind != "six"])


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
