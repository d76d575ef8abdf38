"""Logits and samples of every stage of torchvision's networks (torch 2.11, torchvision 0.26), one of each kind; and of
ResNets with CBAM in every block and with BAM after three stages, with their gates.

The weights are too large to keep. They follow a rule of whole numbers, which the test computes too: value `i` of the tensor
`name` is `unit(name, i)`, in [0, 1), stretched to what the tensor is. So is the picture, which is neither square nor round.

A sample of a stage is every 997th value of its output.
"""
import pathlib
import zlib

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file

torch.set_num_threads(1)
HEIGHT, WIDTH, CLASSES = 75, 109, 100
KINDS = ["resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "vgg11", "vgg16_bn", "mobilenet_v2"]


def unit(name, count):
    """A hash of the tensor's name and the value's index, as 24 bits behind the point."""
    x = np.arange(count, dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()))
    x = (x * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(0xD1B54A32D192ED03)  # both modulo 2^64
    x = (x ^ (x >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return torch.from_numpy(((x ^ (x >> np.uint64(29))) >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24))


def fill(name, tensor):
    """Weights of more than one dimension keep the size of what passes; statistics and biases are near the usual. A
    bottleneck adds a quarter, or the sum over the blocks would be large."""
    values = unit(name, tensor.numel()).reshape(tensor.shape)
    if name.endswith("num_batches_tracked"):
        return
    if tensor.dim() > 1:
        fan_in = tensor[0].numel()
        tensor.copy_((values * 2 - 1) * np.float32(np.sqrt(np.float32(4.5 / fan_in))))
    elif name.endswith(("running_var", "weight")):
        tensor.copy_((values + 0.5) * (0.25 if name.endswith("bn3.weight") else 1.0))
    else:
        tensor.copy_((values - 0.5) * 0.2)


def stages(kind, net):
    """The modules whose outputs are the crate's stages, in their order."""
    if kind.startswith(("res", "wide")):
        return [net.layer1, net.layer2, net.layer3, net.layer4]
    if kind.startswith("vgg"):  # the last ReLU before each pooling
        pools = [i for i, layer in enumerate(net.features) if isinstance(layer, torch.nn.MaxPool2d)]
        return [net.features[i - 1] for i in pools]
    return [net.features[i] for i in (1, 3, 6, 10, 13, 16, 17)] + [net.features[18]]


class Cbam(torch.nn.Module):
    """CBAM by the official code's description: Linear with bias, maximum before mean, BatchNorm, zeros around."""

    def __init__(self, norm, channels, name):
        super().__init__()
        self.norm, self.name = norm, name
        self.fc1, self.fc2 = torch.nn.Linear(channels, channels // 16), torch.nn.Linear(channels // 16, channels)
        self.conv, self.bn = torch.nn.Conv2d(2, 1, 7, padding=3, bias=False), torch.nn.BatchNorm2d(1)
        for part, module in [("channel.fc1", self.fc1), ("channel.fc2", self.fc2), ("spatial.conv", self.conv),
                             ("spatial.bn", self.bn)]:
            for parameter, tensor in module.state_dict().items():
                fill(f"attention.{name.replace('.', '_')}.cbam.{part}.{parameter}", tensor)

    def forward(self, xs):
        xs = self.norm(xs)
        mlp = lambda pooled: self.fc2(self.fc1(pooled).relu())  # noqa: E731
        channel = (mlp(xs.mean((2, 3))) + mlp(xs.amax((2, 3)))).sigmoid()
        xs = xs * channel[:, :, None, None]
        pooled = torch.cat([xs.amax(1, keepdim=True), xs.mean(1, keepdim=True)], 1)
        spatial = self.bn(self.conv(pooled)).sigmoid()
        gates[f"channel:{self.name}"], gates[f"spatial:{self.name}"] = channel, spatial
        return xs * spatial


class Bam(torch.nn.Module):
    """BAM by the official code's description, with the mean of the whole map."""

    def __init__(self, channels, name):
        super().__init__()
        hidden, self.name = channels // 16, name
        norm = torch.nn.BatchNorm2d
        self.parts = torch.nn.ModuleDict({
            "channel/fc1": torch.nn.Linear(channels, hidden), "channel/bn": torch.nn.BatchNorm1d(hidden),
            "channel/fc2": torch.nn.Linear(hidden, channels),
            "spatial/reduce": torch.nn.Conv2d(channels, hidden, 1), "spatial/reduce_bn": norm(hidden),
            "spatial/conv1": torch.nn.Conv2d(hidden, hidden, 3, padding=4, dilation=4), "spatial/bn1": norm(hidden),
            "spatial/conv2": torch.nn.Conv2d(hidden, hidden, 3, padding=4, dilation=4), "spatial/bn2": norm(hidden),
            "spatial/out": torch.nn.Conv2d(hidden, 1, 1),
        })
        for part, module in self.parts.items():
            for parameter, tensor in module.state_dict().items():
                fill(f"attention.{name}.bam.{part.replace('/', '.')}.{parameter}", tensor)

    def forward(self, xs):
        part = self.parts
        hidden = part["channel/bn"](part["channel/fc1"](xs.mean((2, 3)))).relu()
        channel, spatial = part["channel/fc2"](hidden)[:, :, None, None], xs
        for conv, norm in [("reduce", "reduce_bn"), ("conv1", "bn1"), ("conv2", "bn2")]:
            spatial = part[f"spatial/{norm}"](part[f"spatial/{conv}"](spatial)).relu()
        gate = (channel * part["spatial/out"](spatial)).sigmoid()
        gates[f"channel:{self.name}"], gates[f"spatial:{self.name}"] = gate.mean((2, 3)), gate.mean(1)
        return xs * (1 + gate)


def attend(attention, net):
    """Puts the attention where the official code has it."""
    for stage in range(1, 5):
        layer = getattr(net, f"layer{stage}")
        if attention == "cbam":
            for number, block in enumerate(layer):
                last = "bn3" if hasattr(block, "bn3") else "bn2"
                norm = getattr(block, last)
                setattr(block, last, Cbam(norm, norm.num_features, f"layer{stage}.{number}"))
        elif stage < 4:
            channels = (256, 512, 1024)[stage - 1]
            setattr(net, f"layer{stage}", torch.nn.Sequential(layer, Bam(channels, f"layer{stage}")))


out, gates = {}, {}
picture = (unit("picture", 3 * HEIGHT * WIDTH) * 4 - 2).reshape(1, 3, HEIGHT, WIDTH)
for kind in KINDS:
    net = getattr(torchvision.models, kind)(weights=None, num_classes=CLASSES).eval()
    samples = []
    for module in stages(kind, net):
        module.register_forward_hook(lambda _m, _i, output: samples.append(output.clone()))
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            fill(name, tensor)
        out[f"{kind}.logits"] = net(picture)[0]
    for number, sample in enumerate(samples):
        out[f"{kind}.{number}"] = sample.flatten()[::997][:64].clone()
    deviations = [f"{sample.std():.2f}" for sample in samples]
    print(kind, *deviations, "logits", f"{out[f'{kind}.logits'].abs().max():.2f}", out[f"{kind}.logits"].std())
for attention, kind in [("cbam", "resnet18"), ("cbam", "resnet50"), ("bam", "resnet50")]:
    net = getattr(torchvision.models, kind)(weights=None, num_classes=CLASSES)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            fill(name, tensor)
        attend(attention, net)
        gates.clear()
        out[f"{attention}_{kind}.logits"] = net.eval()(picture)[0]
    for name, gate in gates.items():
        out[f"{attention}_{kind}.{name}"] = gate.flatten()[::7][:16].clone()
    print(attention, kind, "logits", out[f"{attention}_{kind}.logits"].std())
    print(*(f"{name} {gate.min():.3f} {gate.mean():.3f} {gate.max():.3f}\n" for name, gate in gates.items()))
save_file(out, pathlib.Path(__file__).parent / "samples.safetensors", {"generator": f"torchvision {torchvision.__version__}"})
