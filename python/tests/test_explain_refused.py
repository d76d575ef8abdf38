"""What cannot be explained, and how it is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from peers import Tiny
from torch import nn

import cbam


@pytest.fixture(autouse=True)
def alone() -> None:
    """Each test begins with the same numbers."""
    torch.manual_seed(0)


class Several(nn.Module):
    """A segmentation network: a number for each place."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x, 4)


def test_outputs_with_positions() -> None:
    model, pictures = nn.Sequential(nn.Conv2d(3, 5, 3), Several()).eval(), torch.randn(2, 3, 32, 32)
    with pytest.raises(cbam.ArgumentError, match=r"gives out \[2, 5, 7, 7\], and not \[N, classes\]; give a function"):
        cbam.explain(model, pictures, layer="0")
    assert cbam.explain(model, pictures, layer="0", target=lambda output: output[:, 3].mean((1, 2))).maps.shape == (2, 30, 30)


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"method": "foo"}, cbam.ArgumentError, "method: 'foo' is none of gradcam, "),
    ({"method": "relevance"}, cbam.ArgumentError, "none of gradcam"),
    ({"target": 5}, cbam.ArgumentError, "target: 5 is none of the model's classes, 0 to 4"),
    ({"target": -1}, cbam.ArgumentError, "-1 is none"),
    ({"target": [1]}, cbam.ArgumentError, "target: 1 classes for 2 pictures"),
    ({"target": "cat"}, cbam.ArgumentError, "target: 'cat' is no class"),
    ({"target": 1.5}, cbam.ArgumentError, "target: 1.5 is no class"),
    ({"target": [1.0, 2.0]}, cbam.ArgumentError, "no list of classes"),
    ({"target": lambda output: output.sum()}, cbam.ArgumentError, r"one number for each picture, as a tensor \[N\]; this gives \[\]"),
    ({"target": lambda output: 5}, cbam.ArgumentError, "this gives int"),
    ({"target": lambda output: output.detach()[:, 0]}, cbam.ArgumentError, "does not depend on what last gives out, or has no grad"),
    ({"target": lambda output: output[:, 0], "method": "rise", "layer": None}, cbam.ArgumentError, "target: rise measures"),
    ({"layer": "lost"}, cbam.ArgumentError, "has no module 'lost'; near it are last"),
    ({"layer": "head"}, cbam.InputError, r"layer: head gives out \[2, 5\], and features .* 4 sides; name another"),
    ({"layer": nn.Conv2d(3, 3, 3)}, cbam.ArgumentError, "Conv2d is no module of this model"),
    ({"layer": "last", "method": "occlusion"}, cbam.ArgumentError, "layer: has no effect; occlusion looks at no features"),
    ({"batch": 0}, cbam.ArgumentError, "batch"),
    ({"batch": -1}, cbam.ArgumentError, "batch: -1 is not a whole number"),
    ({"masks": 1.5}, cbam.ArgumentError, "masks: 1.5 is not a whole number"),
    ({"pictures": torch.zeros(3, 3)}, cbam.InputError, r"Tensor \[3, 3\]; they are a tensor \[N, C, H, W\]"),
    ({"pictures": torch.zeros(0, 3, 9, 9)}, cbam.InputError, r"\[0, 3, 9, 9\]"),
    ({"pictures": np.zeros((2, 3, 9, 9))}, cbam.InputError, r"ndarray \[2, 3, 9, 9\]; they are a tensor"),
    ({"pictures": "a.png"}, cbam.InputError, "pictures: are str"),
    ({"model": len}, cbam.ArgumentError, "no torch.nn.Module"),
    ({"pictures": torch.full((2, 3, 32, 32), float("nan"))}, cbam.NetworkError, "not finite"),
]


@pytest.mark.parametrize(("how", "kind", "text"), WRONG)
def test_what_is_refused(how: dict[str, Any], kind: type[Exception], text: str) -> None:
    given = {"model": Tiny().eval(), "pictures": torch.randn(2, 3, 32, 32), "target": 1, "layer": "last", **how}
    if given["layer"] is None:
        del given["layer"]
    with pytest.raises(kind, match=text):
        cbam.explain(**given)


class Idle(Tiny):
    """It has a layer that does not run, and one that changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.idle, self.beside = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)

    def forward(self, x: torch.Tensor) -> Any:
        self.beside(x)
        return super().forward(x)


def test_layers_without_a_say() -> None:
    model, pictures = Idle().eval(), torch.randn(2, 3, 32, 32)
    for method in ("gradcam", "eigencam"):
        with pytest.raises(cbam.InputError, match="layer: idle did not run"):
            cbam.explain(model, pictures, method, layer="idle")
    with pytest.raises(cbam.ArgumentError, match="the score does not depend on what beside gives out"):
        cbam.explain(model, pictures, layer="beside")


def test_models_without_features() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 4)).eval()
    with pytest.raises(cbam.ArgumentError, match="layer: no features with positions were found; name the module"):
        cbam.explain(model, torch.randn(1, 3, 8, 8))


def test_faults_of_the_model_are_its_own() -> None:
    class Faulty(Tiny):
        calls = 0

        def forward(self, x: torch.Tensor) -> Any:
            Faulty.calls += 1
            if Faulty.calls == 4:
                raise KeyError("mine")
            return super().forward(x)

    with pytest.raises(KeyError, match="mine"):
        cbam.explain(Faulty().eval(), torch.randn(1, 3, 32, 32), "rise", 1, masks=9, batch=1)
