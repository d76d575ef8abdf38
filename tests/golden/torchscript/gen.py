"""Small networks that PyTorch 2.11 scripted and traced, and what they say of one input.

    python tests/golden/torchscript/gen.py
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

HERE = Path(__file__).parent


class Gated(nn.Module):
    """Logits, a spatial gate [N, 1, h, w], attention of three heads [N, 3, h, w], features that are no map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 5, stride=4, padding=2)
        self.gate = nn.Conv2d(6, 1, 3, padding=1)
        self.heads = nn.Conv2d(6, 3, 1)
        self.classifier = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = torch.relu(self.stem(x))
        gate = torch.sigmoid(self.gate(x))
        heads = self.heads(x).flatten(2).softmax(-1).view(x.size(0), 3, x.size(2), x.size(3))
        x = x * gate
        return self.classifier(x.mean((2, 3))), gate, heads, x - 1.0


class MapAlone(nn.Module):
    """One map [N, h, w] and nothing else."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x.square().mean(1), 8)


class SquareOnly(nn.Module):
    """A dictionary, from a network that takes 64 by 64 pixels and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 2, 8, stride=8)
        self.classifier = nn.Linear(2 * 8 * 8, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = torch.relu(self.stem(x))
        return {"probabilities": self.classifier(x.flatten(1)).softmax(-1), "map": x.mean(1)}


torch.manual_seed(7)
gated = Gated().eval()
torch.jit.script(gated).save(HERE / "gated.pt")
torch.jit.script(MapAlone()).save(HERE / "map_alone.pt")
torch.jit.trace(SquareOnly().eval(), torch.zeros(1, 3, 64, 64), strict=False).save(HERE / "square_only.pt")

x = torch.randn(2, 3, 32, 48)
with torch.no_grad():
    logits, gate, heads, _ = gated(x)
save_file({"x": x, "probabilities": logits.softmax(-1), "gate": gate, "heads": heads}, HERE / "gated.safetensors")
