"""Explanations of PyTorch models: they are what the peer makes, for every kind of model and target, and the model does not notice."""

from __future__ import annotations

import contextlib
import copy
import gc
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import timm
import torch
from peers import SLOPES, Tiny, peer, scaled
from timm.models.swin_transformer import SwinTransformer
from torch import nn

import cbam
from cbam._cbam import rank_correlation
from cbam._explain import METHODS


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Each test begins with the same numbers, on one thread, where numbers that are almost nothing are none and cost nothing."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)


def tokens(x: torch.Tensor) -> torch.Tensor:
    """Tokens of a square, behind a class token, as maps."""
    side = int((x.shape[1] - 1) ** 0.5)
    return x[:, 1:].transpose(1, 2).reshape(len(x), -1, side, side)


MODELS: dict[str, tuple[Callable[[], nn.Module], int, str, Any]] = {
    "resnet18": (lambda: timm.create_model("resnet18"), 64, "layer3", None),
    "mobilenetv3": (lambda: timm.create_model("mobilenetv3_small_100"), 64, "blocks.2", None),
    "convnext": (lambda: timm.create_model("convnext_atto"), 96, "stages.3.downsample.0", None),
    "tiny": (Tiny, 32, "last", None),
    "vit": (lambda: timm.create_model("vit_tiny_patch16_224", img_size=64, depth=3), 64, "blocks.1", tokens),
    "vit, normalised": (lambda: timm.create_model("vit_tiny_patch16_224", img_size=64, depth=3), 64, "blocks.2.norm1", tokens),
    "swin": (
        lambda: SwinTransformer(img_size=56, window_size=7, embed_dim=24, depths=(2, 2), num_heads=(2, 4), num_classes=9),
        56,
        "norm",
        lambda x: x.permute(0, 3, 1, 2),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_as_the_peer_makes_them(name: str) -> None:
    make, side, path, reshape = MODELS[name]
    model, pictures = make().eval(), torch.randn(2, 3, side, side)
    layer = model.get_submodule(path)
    for method in SLOPES:
        if (name, method) == ("vit", "hirescam"):
            continue  # features times slopes sum to nothing before each token is normalised
        found = cbam.explain(model, pictures, method, target=[1, 3], layer=path)
        reference = peer(model, pictures, method, [1, 3], layer, reshape)
        assert found.maps.shape == reference.shape
        assert np.abs(scaled(found.maps) - scaled(reference)).max() <= 1e-4, method
    found = scaled(cbam.explain(model, pictures, "eigencam", target=[1, 3], layer=layer).maps)
    reference = peer(model, pictures, "eigencam", [1, 3], layer, reshape)
    for mine, of in zip(found, reference, strict=True):
        assert min(np.abs(mine - scaled(sign * of[None])[0]).max() for sign in (1, -1)) <= 1e-4


@pytest.mark.parametrize("method", ["scorecam", "ablationcam"])
def test_as_the_peer_ranks_them(method: str) -> None:
    model, pictures = Tiny().eval(), torch.randn(2, 3, 32, 32)
    found = cbam.explain(model, pictures, method, target=[1, 3], layer="last", batch=4)
    reference = np.maximum(peer(model, pictures, method, [1, 3], model.last), 0).astype(np.float32)
    for mine, of in zip(found.maps, reference, strict=True):
        assert rank_correlation(mine, of) >= 0.99


@pytest.mark.parametrize("method", [*SLOPES, "eigencam", "scorecam", "ablationcam"])
def test_features_are_as_the_layer_gave_them(method: str) -> None:
    """Also where what comes after the layer writes over them."""
    model, pictures = Tiny().eval(), torch.randn(2, 3, 32, 32)
    over = Tiny(inplace=True).eval()
    over.load_state_dict(model.state_dict())
    expected = cbam.explain(model, pictures, method, 1, "second").maps
    assert expected.max() > 0
    assert np.allclose(cbam.explain(over, pictures, method, 1, "second").maps, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_changed_pictures(method: str) -> None:
    model, pictures = Tiny().eval(), torch.randn(2, 3, 32, 32)
    how: dict[str, Any] = {"masks": 20, "seed": 3} if method == "rise" else {"window": 8, "stride": 8}
    found = cbam.explain(model, pictures, method, [1, 3], **how)
    assert found.layer is None
    assert found.maps.min() >= 0
    assert found.maps.shape == ((2, 32, 32) if method == "rise" else (2, 4, 4))
    for number, class_ in enumerate([1, 3]):
        alone = cbam.explain(model, pictures[number], method, class_, batch=3, **how)
        assert np.allclose(alone.maps[0], found.maps[number], atol=1e-6)


def test_every_method_takes_one_picture_or_several() -> None:
    model, pictures = Tiny().eval(), torch.randn(3, 3, 32, 32)
    for method in METHODS:
        if method == "relevance":
            continue
        how = {"masks": 8} if method == "rise" else {}
        several = cbam.explain(model, pictures, method, [0, 1, 2], **how)
        assert len(several.maps) == 3
        for number in range(3):
            one = cbam.explain(model, pictures[number], method, number, **how)
            assert one.maps.shape[0] == 1
            assert np.allclose(one.maps[0], several.maps[number], rtol=1e-4, atol=1e-6), method


def test_targets() -> None:
    model, pictures = Tiny().eval(), torch.randn(2, 3, 32, 32)

    def maps(target: Any, **how: Any) -> np.ndarray:
        return cbam.explain(model, pictures, target=target, layer="last", **how).maps

    likeliest = model(pictures).argmax(1).tolist()
    found = cbam.explain(model, pictures, layer="last")
    assert found.classes == likeliest
    assert np.array_equal(maps(likeliest), found.maps)
    three = maps(3)
    for same in ([3, 3], (3, 3), torch.tensor([3, 3]), np.array([3, 3]), np.int64(3), torch.tensor(3)):
        assert np.array_equal(maps(same), three)
    assert np.allclose(maps(lambda output: output[:, 3]), three)
    assert np.allclose(maps(lambda output: output[:, 3:4] * 2), 2 * three)
    assert cbam.explain(model, pictures, target=lambda output: output[:, 3]).classes is None
    for method in ("scorecam", "ablationcam", "eigencam"):
        assert maps(lambda output: output[:, 3], method=method).shape == three.shape


def test_layers() -> None:
    model, pictures = Tiny().eval(), torch.randn(1, 3, 32, 32)
    by_path, by_module = (cbam.explain(model, pictures, target=1, layer=of) for of in ("second", model.second))
    assert by_path.layer == by_module.layer == "second"
    assert np.array_equal(by_path.maps, by_module.maps)
    own = cbam.explain(model, pictures, target=1)
    assert own.layer in ("last", "relu")
    assert own.maps.shape == (1, 16, 16)
    assert repr(own) == f"Explanation(gradcam at {own.layer}, [1, 16, 16])"


@pytest.mark.parametrize("name", MODELS)
def test_own_layer(name: str) -> None:
    make, side, _, _ = MODELS[name]
    found = cbam.explain(make().eval(), torch.randn(1, 3, side, side), "layercam")
    assert found.maps.ndim == 3
    assert found.maps.shape[1] == found.maps.shape[2] > 1
    assert found.maps.max() > 0


def test_grey_pictures_and_one_answer() -> None:
    model, pictures = Tiny(classes=1, channels=1).eval(), torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        model.head.bias.zero_()
    numbers = model(pictures)[:, 0]
    assert cbam.explain(model, pictures).classes == [int(of > 0) for of in numbers]
    yes, no = cbam.explain(model, pictures, "hirescam", 1, "last"), cbam.explain(model, pictures, "hirescam", 0, "last")
    assert np.minimum(yes.maps, no.maps).max() == 0
    assert np.maximum(yes.maps, no.maps).max() > 0
    reference = peer(model, pictures, "hirescam", [0, 0], model.last)
    assert np.abs(scaled(yes.maps) - scaled(reference)).max() <= 1e-4
    for method in ("scorecam", "occlusion", "rise"):
        assert len(cbam.explain(model, pictures, method, 0, **({"masks": 5} if method == "rise" else {})).maps) == 2
    with pytest.raises(cbam.ArgumentError, match="2 is none of the model's classes, 0 to 1"):
        cbam.explain(model, pictures, target=2)


@dataclass
class Answer:
    """What some libraries give out."""

    loss: torch.Tensor | None
    logits: torch.Tensor


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: {"features": torch.zeros(2, 9), "logits": x},
        lambda x: (x, torch.zeros(1)),
        lambda x: [x],
        lambda x: {"out": x},
        lambda x: Answer(None, x),
    ],
)
def test_answers(answer: Callable[[Any], Any]) -> None:
    plain, pictures = Tiny().eval(), torch.randn(2, 3, 32, 32)
    model = Tiny(answer=answer).eval()
    model.load_state_dict(plain.state_dict())
    for method in ("gradcam", "scorecam", "occlusion"):
        expected = cbam.explain(plain, pictures, method, 2)
        assert np.array_equal(cbam.explain(model, pictures, method, 2).maps, expected.maps)


@pytest.mark.parametrize(("kind", "close"), [(torch.float16, 0.05), (torch.bfloat16, 0.2), (torch.float64, 1e-4)])
def test_other_numbers(kind: torch.dtype, close: float) -> None:
    model, pictures = Tiny().eval(), torch.randn(2, 3, 32, 32)
    for method in ("gradcam", "hirescam", "scorecam", "occlusion"):
        expected = scaled(cbam.explain(model, pictures, method, 2).maps)
        found = cbam.explain(copy.deepcopy(model).to(kind), pictures.to(kind), method, 2).maps
        assert found.dtype == np.float32
        assert np.abs(scaled(found) - expected).max() <= close, method


@pytest.mark.parametrize("outside", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_gradients_whatever_is_set_outside(outside: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
    model, pictures = Tiny().eval(), torch.randn(2, 3, 32, 32)
    expected = cbam.explain(model, pictures, target=1)
    with outside():
        given = pictures.clone()
        assert np.allclose(cbam.explain(model, given, target=1).maps, expected.maps)
        assert np.allclose(cbam.explain(model, given, "scorecam", 1).maps, cbam.explain(model, pictures, "scorecam", 1).maps)
        assert torch.is_grad_enabled() == (outside is torch.enable_grad)


def test_autocast() -> None:
    model, pictures = Tiny().eval(), torch.randn(2, 3, 32, 32)
    expected = scaled(cbam.explain(model, pictures, target=1).maps)
    with torch.autocast("cpu", torch.bfloat16):
        assert np.abs(scaled(cbam.explain(model, pictures, target=1).maps) - expected).max() < 0.2


class Frozen(nn.Module):
    """A model that turns gradients off in itself."""

    def __init__(self, inner: Tiny, everywhere: bool) -> None:
        super().__init__()
        self.inner, self.everywhere = inner, everywhere

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x = self.inner.relu(self.inner.second(self.inner.relu(self.inner.first(x))))
            if self.everywhere:
                return self.inner.head(self.inner.last(x).mean((2, 3)))
        return self.inner.head(self.inner.relu(self.inner.last(x)).mean((2, 3)))


@pytest.mark.parametrize("everywhere", [False, True])
def test_models_that_turn_gradients_off(everywhere: bool) -> None:
    inner, pictures = Tiny().eval(), torch.randn(2, 3, 32, 32)
    model = Frozen(inner, everywhere).eval()
    assert cbam.explain(model, pictures, target=1, layer="inner.last").maps.max() > 0
    if not everywhere:
        expected = cbam.explain(inner, pictures, target=1, layer="last").maps
        assert np.allclose(cbam.explain(model, pictures, target=1, layer="inner.last").maps, expected)
        assert cbam.explain(model, pictures, target=1, layer="inner.second").maps.max() > 0


def test_frozen_parameters() -> None:
    model, pictures = Tiny().eval(), torch.randn(2, 3, 32, 32)
    expected = cbam.explain(model, pictures, target=1)
    model.requires_grad_(False)
    assert np.array_equal(cbam.explain(model, pictures, target=1).maps, expected.maps)
    assert np.array_equal(cbam.explain(model, pictures.requires_grad_(), target=1).maps, expected.maps)
    assert pictures.grad is None


def state(model: nn.Module) -> dict[str, Any]:
    """What of a model must stay."""
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
    return {
        "numbers": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "hooks": hooks,
        "training": [module.training for module in model.modules()],
        "gradients": [parameter.grad for parameter in model.parameters()],
        "asked": [parameter.requires_grad for parameter in model.parameters()],
    }


@pytest.mark.parametrize("training", [False, True])
def test_model_is_unchanged(training: bool) -> None:
    model, pictures = timm.create_model("resnet18").train(training), torch.randn(2, 3, 64, 64)
    model.layer1.eval()
    before = state(model)
    gradients = torch.is_grad_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbam.CbamWarning)
        cbam.explain(model, pictures, "gradcam", 1)
        cbam.explain(model, pictures, "occlusion", 1, window=64)
        with pytest.raises(cbam.ArgumentError):
            cbam.explain(model, pictures, "gradcam", 1000)
        with pytest.raises(ZeroDivisionError):
            cbam.explain(model, pictures, "gradcam", lambda output: output[0] / (1 // 0))
    after = state(model)
    for name, tensor in before.pop("numbers").items():
        assert torch.equal(after["numbers"][name], tensor), name
    assert before == {key: after[key] for key in before}
    assert torch.is_grad_enabled() == gradients


def test_model_is_let_go() -> None:
    model = Tiny().eval()
    cbam.explain(model, torch.randn(1, 3, 32, 32))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_training_mode_warns() -> None:
    model = Tiny().train()
    with pytest.warns(cbam.CbamWarning, match=r"training mode.*model.eval\(\)") as heard:
        cbam.explain(model, torch.randn(1, 3, 32, 32))
    assert heard[0].filename == __file__
    model.eval().head.train()
    with pytest.warns(cbam.CbamWarning, match="training mode"):
        cbam.explain(model, torch.randn(1, 3, 32, 32))


def test_models_that_change_between_calls() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    pictures = torch.randn(1, 3, 16, 16)
    assert cbam.explain(model, pictures, layer="0").maps.shape == (1, 14, 14)
    model[0] = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)).eval()
    assert cbam.explain(model, pictures, layer="0").maps.shape == (1, 12, 12)
    assert cbam.explain(model, torch.randn(1, 3, 20, 20), layer="0").maps.shape == (1, 16, 16)


class Counted(Tiny):
    """How many pictures it took."""

    taken = 0

    def forward(self, x: torch.Tensor) -> Any:
        Counted.taken += len(x)
        return super().forward(x)


def test_model_runs_no_more_than_needed() -> None:
    model, pictures = Counted().eval(), torch.randn(4, 3, 32, 32)
    for method, first, later in (("gradcam", 5, 4), ("eigencam", 4, 4), ("scorecam", 28, 28)):
        for expected in (first, later):
            Counted.taken = 0
            cbam.explain(model, pictures, method, 1)
            assert Counted.taken <= expected + (4 if method == "scorecam" else 0), method


def test_graph_before_the_layer_is_not_kept() -> None:
    saved: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor.numel())
        return tensor

    model, pictures = Tiny().eval(), torch.randn(1, 3, 64, 64)
    cbam.explain(model, pictures, target=1, layer="last")
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        cbam.explain(model, pictures, target=1, layer="last")
    assert 3 * 64 * 64 not in saved
    assert 8 * 32 * 32 not in saved


def test_explanation() -> None:
    model, pictures = Tiny().eval(), torch.randn(2, 3, 32, 32)
    found = cbam.explain(model, pictures, target=1)
    assert np.asarray(found) is found.maps
    assert np.asarray(found, dtype=np.float64).dtype == np.float64
    assert np.array(found) is not found.maps
    assert torch.from_dlpack(found.maps).data_ptr() == found.maps.ctypes.data
    picture = np.zeros((40, 50, 3), np.uint8)
    assert np.array_equal(found.overlay(picture, 1, colormap="magma"), cbam.overlay(picture, found.maps[1], colormap="magma"))
