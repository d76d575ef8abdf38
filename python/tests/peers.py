"""The peer that explanations are compared with, before it scales its maps; and small networks of every kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

PEERS = {
    "gradcam": pytorch_grad_cam.GradCAM,
    "gradcam++": pytorch_grad_cam.GradCAMPlusPlus,
    "hirescam": pytorch_grad_cam.HiResCAM,
    "layercam": pytorch_grad_cam.LayerCAM,
    "xgradcam": pytorch_grad_cam.XGradCAM,
    "eigencam": pytorch_grad_cam.EigenCAM,
    "scorecam": pytorch_grad_cam.ScoreCAM,
    "ablationcam": pytorch_grad_cam.AblationCAM,
}
SLOPES = ["gradcam", "gradcam++", "hirescam", "layercam", "xgradcam"]

Reshape = Callable[[torch.Tensor], torch.Tensor] | None


def peer(
    model: nn.Module, pictures: torch.Tensor, method: str, classes: list[int], layer: nn.Module, reshape: Reshape = None
) -> np.ndarray:
    """The peer's maps on the layer's grid, with their signs."""
    targets = [ClassifierOutputTarget(of) for of in classes]
    with PEERS[method](model=model, target_layers=[layer], reshape_transform=reshape) as cam:
        cam.batch_size = 16
        seen = cam.activations_and_grads
        outputs = seen(pictures)
        if cam.uses_gradients:
            model.zero_grad()
            torch.stack([target(output) for target, output in zip(targets, outputs, strict=True)]).sum().backward()
        features = seen.activations[0].detach().numpy()
        slopes = seen.gradients[0].detach().numpy() if seen.gradients else None
        raw = cam.get_cam_image(pictures, layer, targets, features, slopes, False)
    model.zero_grad()
    return np.asarray(raw, dtype=np.float64)


def scaled(maps: np.ndarray) -> np.ndarray:
    """Each map's positive part over its maximum."""
    positive = np.maximum(maps, 0)
    return positive / np.maximum(positive.max((1, 2), keepdims=True), 1e-30)


class Tiny(nn.Module):
    """Three convolutions and a linear layer."""

    def __init__(self, classes: int = 5, channels: int = 3, inplace: bool = False, answer: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 8, 3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 6, 3, padding=1)
        self.last = nn.Conv2d(6, 6, 3, padding=1)
        self.relu = nn.ReLU(inplace=inplace)
        self.head = nn.Linear(6, classes)
        self.answer = answer

    def forward(self, x: torch.Tensor) -> Any:
        x = self.relu(self.first(x))
        x = self.relu(self.second(x))
        x = self.relu(self.last(x))
        numbers = self.head(x.mean((2, 3)))
        return numbers if self.answer is None else self.answer(numbers)
