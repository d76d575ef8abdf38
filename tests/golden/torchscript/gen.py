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


class Features(nn.Module):
    """Logits and the features [N, 70, h, w] that they are made of; `end` may make probabilities of the logits."""

    def __init__(self, end: nn.Module, classes: int = 5) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 5, stride=4, padding=2), nn.ReLU(), nn.Conv2d(8, 70, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(70, classes)
        self.end = end

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(x)
        return self.end(self.head(features.mean((2, 3)))), features


class Alone(nn.Module):
    """The answer of another module, and nothing else."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)[0]


class Flat(Alone):
    """One number for each picture, [N]."""

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)[0].squeeze(1)


class Branches(Alone):
    """Which end it has, its code does not say."""

    mode: str

    def __init__(self, inner: nn.Module, mode: str) -> None:
        super().__init__(inner)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x)[0]
        if self.mode == "sigmoid":
            y = torch.sigmoid(y)
        return y


class Constant(nn.Module):
    """Logits that are like probabilities: at least 0, with sum 1, whatever the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.copy_(torch.tensor([0.2, 0.3, 0.5]))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.mean((2, 3)))


class Behind(nn.Module):
    """A map that comes before the answer, and one that goes below 0."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Features(nn.Identity(), 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, features = self.inner(x)
        return torch.sigmoid(features.mean(1)), features.mean(1) - 1.0, logits


torch.manual_seed(8)
x = torch.randn(1, 3, 32, 48)
net = Features(nn.Identity()).eval()
torch.jit.trace(net, x).save(HERE / "features.pt")
torch.jit.script(net).save(HERE / "features_scripted.pt")
logits, features = net(x)
gradient = torch.autograd.grad(logits[0, 2], features)[0]
expected = {
    "x": x,
    "probabilities": logits.softmax(-1),
    "gradcam": (gradient.mean((2, 3), keepdim=True) * features).sum(1).relu()[0],
    "hirescam": (gradient * features).sum(1).relu()[0],
}
save_file({name: value.detach().contiguous() for name, value in expected.items()}, HERE / "features.safetensors")
torch.jit.trace(Alone(Features(nn.Sigmoid(), 3)).eval(), x).save(HERE / "labels.pt")
torch.jit.script(Alone(Features(nn.Softmax(1), 3)).eval()).save(HERE / "softmax_scripted.pt")
torch.jit.trace(Flat(Features(nn.Sigmoid(), 1)).eval(), x).save(HERE / "one.pt")
torch.jit.trace(Flat(Features(nn.Identity(), 1)).eval(), x).save(HERE / "one_logit.pt")
torch.jit.script(Branches(Features(nn.Identity(), 3), "sigmoid").eval()).save(HERE / "branches.pt")
torch.jit.trace(Constant().eval(), x).save(HERE / "constant.pt")
torch.jit.trace(Behind().eval(), x).save(HERE / "behind.pt")
torch.jit.trace(nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval(), x[:, :1]).save(HERE / "grey.pt")


class Nested(nn.Module):
    """Results within results: the answer stands in the second, behind features and another."""

    def __init__(self, end: nn.Module) -> None:
        super().__init__()
        self.inner = Features(nn.Identity(), 3)
        self.end = end

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        logits, features = self.inner(x)
        return features.mean(1), (self.end(logits), features)


class Embedding(nn.Module):
    """The likeliest class, an embedding [N, 7], and the logits [N, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = Features(nn.Identity(), 7)
        self.head = nn.Linear(7, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        embedding, _ = self.embed(x)
        logits = self.head(embedding)
        return logits.argmax(1), embedding, logits


class Dark(nn.Module):
    """An answer, and what is 0 for a grey picture alone and goes below 0 for others."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Features(nn.Identity(), 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.inner(x)[0], x.mean(1), (x.mean(1) - 5.0).abs() - 4.0


class Averaged(nn.Module):
    """Scores of every place after a sigmoid, and their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


torch.manual_seed(9)
torch.jit.trace(Nested(nn.Sigmoid()).eval(), x).save(HERE / "nested.pt")
torch.jit.trace(Embedding().eval(), x).save(HERE / "embedding.pt")
torch.jit.trace(Dark().eval(), x).save(HERE / "dark.pt")
torch.jit.trace(Averaged().eval(), x).save(HERE / "averaged.pt")
torch.jit.trace(Features(nn.Identity()).eval().half(), x.half()).save(HERE / "half.pt")
