"""Networks with attention as people write it.

The styles are those of public code: other names inside, linear layers or convolutions, the mean before the maximum or behind it, and so
on. Weights are random.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class ChannelGate(nn.Module):
    """One perceptron for the mean and the maximum of each channel."""

    def __init__(self, channels: int, style: str) -> None:
        super().__init__()
        self.style, hidden = style, max(channels // 4, 2)
        if style in ("linear", "functional", "in place"):
            self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        else:
            bias = style == "bias"
            self.fc1, self.relu1 = nn.Conv2d(channels, hidden, 1, bias=bias), nn.ReLU(inplace=True)
            self.fc2 = nn.Conv2d(hidden, channels, 1, bias=bias)
            self.mlp = nn.Sequential(self.fc1, self.relu1, self.fc2)
        self.sigmoid = nn.Hardsigmoid() if style == "hardsigmoid" else nn.Sigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.style == "functional":
            height, width = x.shape[2:]
            total = self.mlp(F.avg_pool2d(x, (height, width))) + self.mlp(F.max_pool2d(x, (height, width)))
            scale = F.sigmoid(total).unsqueeze(2).unsqueeze(3).expand_as(x)
            return x * scale
        total = self.mlp(F.adaptive_avg_pool2d(x, 1)) + self.mlp(F.adaptive_max_pool2d(x, 1))
        total = total[:, :, None, None] if total.ndim == 2 else total
        if self.style == "relu6":
            return x * (F.relu6(total + 3) / 6)
        if self.style == "sixth":
            return x * (F.relu6(3 + total, inplace=True) * (1 / 6))
        if self.style == "clamp":
            return x * torch.clamp(total * 0.2 + 0.5, 0, 1)
        if self.style == "in place":
            return x.clone().mul_(total.sigmoid_())
        if self.style == "out":
            return torch.mul(x, self.sigmoid(total), out=torch.empty_like(x))
        return self.sigmoid(total) * x


class SpatialGate(nn.Module):
    """A convolution over the mean and the maximum over the channels."""

    def __init__(self, style: str) -> None:
        super().__init__()
        self.style = style
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=style == "bias")
        self.bn = nn.BatchNorm2d(1) if style in ("linear", "functional") else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pools = [torch.mean(x, 1, keepdim=True), torch.max(x, 1, keepdim=True)[0]]
        if self.style in ("functional", "max first"):
            pools.reverse()
        logits = self.bn(self.spatial(torch.cat(pools, 1)))
        if self.style == "repeat":
            return x * torch.sigmoid(logits.repeat(1, x.shape[1], 1, 1))
        if self.style == "relu6":
            return x * (F.relu6(logits + 3) / 6)
        if self.style == "sixth":
            return x * (F.relu6(logits + 3) * (1 / 6))
        if self.style == "hardsigmoid":
            return x * F.hardsigmoid(logits)
        if self.style == "clamp":
            return x * (logits * 0.2 + 0.5).clamp(0, 1)
        if self.style == "in place":
            x = x.clone()
            x *= logits.sigmoid()
            return x
        if self.style == "plus one":
            return x * (1 + torch.sigmoid(logits))
        return x * torch.sigmoid(logits)


class Cbam(nn.Module):
    """Both, one after the other."""

    def __init__(self, channels: int, style: str) -> None:
        super().__init__()
        self.ca, self.sa = ChannelGate(channels, style), SpatialGate(style)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.sa(self.ca(x))


class OneModule(nn.Module):
    """Both in one ``forward``, without modules of their own."""

    def __init__(self, channels: int, _: str = "") -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Conv2d(channels, 4, 1), nn.ReLU(), nn.Conv2d(4, channels, 1))
        self.conv = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * torch.sigmoid(self.mlp(x.mean((2, 3), keepdim=True)) + self.mlp(x.amax((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.conv(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))


class Parallel(nn.Module):
    """Both gates of the same features, and their sum."""

    def __init__(self, channels: int, _: str = "") -> None:
        super().__init__()
        self.cse = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Sigmoid())
        self.sse = nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.cse(x) + x * self.sse(x)


class Coordinate(nn.Module):
    """Gates of rows and of columns."""

    def __init__(self, channels: int, _: str = "") -> None:
        super().__init__()
        self.conv1, self.bn1, self.act = nn.Conv2d(channels, 8, 1), nn.BatchNorm2d(8), nn.Hardswish()
        self.conv_h, self.conv_w = nn.Conv2d(8, channels, 1), nn.Conv2d(8, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, _, h, w = x.size()
        rows, columns = F.adaptive_avg_pool2d(x, (h, 1)), F.adaptive_avg_pool2d(x, (1, w)).permute(0, 1, 3, 2)
        y = self.act(self.bn1(self.conv1(torch.cat([rows, columns], dim=2))))
        rows, columns = torch.split(y, [h, w], dim=2)
        return x * self.conv_w(columns.permute(0, 1, 3, 2)).sigmoid() * self.conv_h(rows).sigmoid()


class Bam(nn.Module):
    """x · (1 + σ(channel + spatial)), a gate of every channel and position."""

    def __init__(self, channels: int, _: str = "") -> None:
        super().__init__()
        self.channel = nn.Sequential(nn.Flatten(), nn.Linear(channels, 4), nn.ReLU(), nn.Linear(4, channels))
        self.spatial = nn.Sequential(nn.Conv2d(channels, 4, 1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=4, dilation=4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = self.channel(F.avg_pool2d(x, x.shape[2:]))
        gate = 1 + torch.sigmoid(pooled[:, :, None, None].expand_as(x) + self.spatial(x).expand_as(x))
        return gate * x


class SE(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int, _: str = "") -> None:
        super().__init__()
        self.excitation = nn.Sequential(nn.Linear(channels, 4), nn.ReLU(True), nn.Linear(4, channels), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, _, _ = x.shape
        return x * self.excitation(x.mean((-2, -1))).view(n, c, 1, 1)


class ECA(nn.Module):
    """A convolution over neighbouring channels."""

    def __init__(self, _: int, __: str = "") -> None:
        super().__init__()
        self.conv, self.sigmoid = nn.Conv1d(1, 1, 3, padding=1, bias=False), nn.Sigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.adaptive_avg_pool2d(x, 1).squeeze(-1).transpose(-1, -2)
        y = self.sigmoid(self.conv(y).transpose(-1, -2).unsqueeze(-1))
        return x * y.expand_as(x)


class Triplet(nn.Module):
    """A gate of positions, made of the maximum and the mean, as one of three branches has it."""

    def __init__(self, _: int, __: str = "") -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = torch.cat((torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)), dim=1)
        return x * torch.sigmoid_(self.bn(self.conv(pooled)))


class SimAM(nn.Module):
    """A gate of every channel and position without parameters."""

    def __init__(self, _: int, __: str = "") -> None:
        super().__init__()
        self.act = nn.Sigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        of_mean = (x - x.mean(dim=[2, 3], keepdim=True)).pow(2)
        scale = of_mean / (4 * (of_mean.sum(dim=[2, 3], keepdim=True) / (x.shape[2] * x.shape[3] - 1) + 1e-4)) + 0.5
        return x * self.act(scale)


class Block(nn.Module):
    """Attention in a residual block, before the addition."""

    def __init__(self, before: int, channels: int, stride: int, attention: nn.Module) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        self.attention, self.relu = attention, nn.ReLU(inplace=True)
        self.down = nn.Conv2d(before, channels, 1, stride) if stride > 1 or before != channels else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.attention(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
        out += self.down(x)
        return self.relu(out)


class Small(nn.Module):
    """A small CNN with two blocks of attention."""

    def __init__(self, attention: Callable[[int, str], nn.Module], style: str = "", width: int = 12) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.SiLU())
        self.layer1 = Block(width, width, 1, attention(width, style))
        self.layer2 = Block(width, 2 * width, 2, attention(2 * width, style))
        self.fc = nn.Linear(2 * width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.layer2(self.layer1(self.stem(x))).mean((2, 3)))


@dataclasses.dataclass
class Answer:
    """What a network of another library gives out."""

    logits: torch.Tensor
    hidden_states: tuple[torch.Tensor, ...]


class Wrapped(nn.Module):
    """A network that takes its picture as a keyword, and gives out a dictionary, a tuple or a dataclass."""

    def __init__(self, gives: str) -> None:
        super().__init__()
        self.net, self.gives = Small(Cbam, "linear"), gives

    def forward(self, pixel_values: torch.Tensor | None = None, labels: torch.Tensor | None = None) -> Any:
        assert pixel_values is not None
        features = self.net.layer1(self.net.stem(pixel_values))
        logits = self.net.fc(self.net.layer2(features).mean((2, 3)))
        if self.gives == "tuple":
            return logits, features
        return {"logits": logits, "hidden_states": (features,)} if self.gives == "dict" else Answer(logits, (features,))


class Vit(nn.Module):
    """A small ViT of PyTorch's own parts: with a class token, and encoder layers that have a fast path."""

    def __init__(self, heads: int = 2, width: int = 16, layers: int = 2, need_weights: bool | None = None) -> None:
        super().__init__()
        self.need_weights = need_weights
        self.patch, self.token = nn.Conv2d(3, width, 8, 8), nn.Parameter(torch.randn(1, 1, width))
        self.place = nn.Parameter(torch.randn(1, 1, width) / 4)
        if need_weights is None:
            layer = nn.TransformerEncoderLayer(width, heads, 32, dropout=0.0, batch_first=True)
            self.encoder: nn.Module = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        else:
            self.encoder = nn.ModuleList(nn.MultiheadAttention(width, heads, batch_first=True) for _ in range(layers))
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        if self.need_weights is None:
            x = self.encoder(x)
        else:
            for attention in self.encoder:  # type: ignore[attr-defined]
                x = x + attention(x, x, x, need_weights=self.need_weights)[0]
        return self.head(x[:, 0])


STYLES = [
    "conv", "bias", "linear", "functional", "relu6", "sixth", "hardsigmoid", "clamp", "repeat", "in place", "max first", "plus one", "out",
]
BLOCKS: dict[str, Callable[[int, str], nn.Module]] = {
    "one module": OneModule, "parallel": Parallel, "coordinate": Coordinate, "bam": Bam, "se": SE, "eca": ECA, "triplet": Triplet,
    "simam": SimAM,
}
KINDS = {
    "one module": ["channel", "spatial"] * 2, "parallel": ["channel", "spatial"] * 2, "coordinate": ["coordinate"] * 2, "bam": ["full"] * 2,
    "se": ["channel"] * 2, "eca": ["channel"] * 2, "triplet": ["spatial"] * 2, "simam": ["full"] * 2,
}


def small(name: str, seed: int = 0) -> nn.Module:
    """A small network whose attention is in a style, or is a block."""
    torch.manual_seed(seed)
    net = Small(BLOCKS[name]) if name in BLOCKS else Small(Cbam, name)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return net.eval()


# An ear beside the watch.
