"""The names and shapes of the networks that people's checkpoints hold, from PyTorch code of each code base.

torchvision, timm and pytorchcv speak for themselves; the official code (Jongchan/attention-module) and the ca / sa copies
(luuuyi/CBAM.PyTorch) are written down here from what they compute.

    gen.py                  writes layouts.txt: per network a line `= name`, then a line per tensor (its name and shape);
                            `~ name channels` is a BatchNorm, whose tensors are known; and gates.safetensors: the
                            attention of each layout's layer1.0 with random weights, and its gates on one input
    gen.py --write FOLDER   writes for every layout a checkpoint with random weights, as zip and as a legacy training
                            dictionary, and the logits and gates that it gives on one photo that is not square
"""
import pathlib
import sys
import warnings

import torch
import torch.nn.functional as F
from timm.layers.activations import Sigmoid as SigmoidOfTimm
from torch import nn

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
here = pathlib.Path(__file__).parent


class Keep(nn.Module):
    """A sigmoid that remembers what it gave."""

    def forward(self, x):
        return torch.sigmoid(x)


class OfficialChannelGate(nn.Module):
    def __init__(self, channels, reduction):
        super().__init__()
        hidden = channels // reduction
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        self.sigmoid = Keep()

    def forward(self, x):
        pooled = self.mlp(F.adaptive_avg_pool2d(x, 1)) + self.mlp(F.adaptive_max_pool2d(x, 1))
        return x * self.sigmoid(pooled)[:, :, None, None]


class Conv2dNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(1, eps=1e-5, momentum=0.01)

    def forward(self, x):
        return self.bn(self.conv(x))


class OfficialSpatialGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.spatial = Conv2dNorm()
        self.sigmoid = Keep()

    def forward(self, x):
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return x * self.sigmoid(self.spatial(pooled))


class OfficialCbam(nn.Module):
    def __init__(self, channels, reduction=16, no_spatial=False):
        super().__init__()
        self.ChannelGate = OfficialChannelGate(channels, reduction)
        if not no_spatial:
            self.SpatialGate = OfficialSpatialGate()

    def forward(self, x):
        x = self.ChannelGate(x)
        return self.SpatialGate(x) if hasattr(self, "SpatialGate") else x


class OfficialBam(nn.Module):
    def __init__(self, channels, reduction=16, dilation=4):
        super().__init__()
        hidden = channels // reduction
        self.channel_att, self.spatial_att, self.sigmoid = nn.Module(), nn.Module(), Keep()
        c, s = nn.Sequential(), nn.Sequential()
        c.add_module("flatten", nn.Flatten())
        c.add_module("gate_c_fc_0", nn.Linear(channels, hidden))
        c.add_module("gate_c_bn_1", nn.BatchNorm1d(hidden))
        c.add_module("gate_c_relu_1", nn.ReLU())
        c.add_module("gate_c_fc_final", nn.Linear(hidden, channels))
        s.add_module("gate_s_conv_reduce0", nn.Conv2d(channels, hidden, 1))
        s.add_module("gate_s_bn_reduce0", nn.BatchNorm2d(hidden))
        s.add_module("gate_s_relu_reduce0", nn.ReLU())
        for i in range(2):
            s.add_module(f"gate_s_conv_di_{i}", nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation))
            s.add_module(f"gate_s_bn_di_{i}", nn.BatchNorm2d(hidden))
            s.add_module(f"gate_s_relu_di_{i}", nn.ReLU())
        s.add_module("gate_s_conv_final", nn.Conv2d(hidden, 1, 1))
        self.channel_att.gate_c, self.spatial_att.gate_s = c, s

    def forward(self, x):
        channel = self.channel_att.gate_c(F.adaptive_avg_pool2d(x, 1))[:, :, None, None]
        return x * (1 + self.sigmoid(channel * self.spatial_att.gate_s(x)))


class CaSequential(nn.Module):
    def __init__(self, channels):
        super().__init__()
        hidden = channels // 16
        self.fc = nn.Sequential(nn.Conv2d(channels, hidden, 1, bias=False), nn.ReLU(), nn.Conv2d(hidden, channels, 1, bias=False))
        self.sigmoid = Keep()

    def forward(self, x):
        return self.sigmoid(self.fc(F.adaptive_avg_pool2d(x, 1)) + self.fc(F.adaptive_max_pool2d(x, 1)))


class CaNamed(nn.Module):
    def __init__(self, channels):
        super().__init__()
        hidden = channels // 16
        self.fc1, self.fc2 = nn.Conv2d(channels, hidden, 1, bias=False), nn.Conv2d(hidden, channels, 1, bias=False)
        self.sigmoid = Keep()

    def forward(self, x):
        mlp = lambda pooled: self.fc2(F.relu(self.fc1(pooled)))
        return self.sigmoid(mlp(F.adaptive_avg_pool2d(x, 1)) + mlp(F.adaptive_max_pool2d(x, 1)))


class Sa(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.sigmoid = Keep()

    def forward(self, x):
        return self.sigmoid(self.conv1(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))


class Block(nn.Module):
    """A residual block with attention on its branch."""

    def __init__(self, inputs, planes, stride, bottleneck, attention):
        super().__init__()
        outputs = planes * (4 if bottleneck else 1)
        shapes = [(inputs, planes, 1, 1), (planes, planes, 3, stride), (planes, outputs, 1, 1)] if bottleneck else [(inputs, planes, 3, stride), (planes, planes, 3, 1)]
        self.count = len(shapes)
        for i, (i_, o, k, s) in enumerate(shapes, 1):
            setattr(self, f"conv{i}", nn.Conv2d(i_, o, k, s, k // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(o))
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        if attention in ("cbam", "no_spatial"):
            self.cbam = OfficialCbam(outputs, no_spatial=attention == "no_spatial")
        elif attention in ("fc", "fc12"):
            self.ca, self.sa = (CaSequential if attention == "fc" else CaNamed)(outputs), Sa()

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = F.relu(y) if i < self.count else y
        if hasattr(self, "cbam"):
            y = self.cbam(y)
        elif hasattr(self, "ca"):
            y = self.ca(y) * y
            y = self.sa(y) * y
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, blocks, bottleneck, attention, classes=1000):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        inputs = 64
        for stage, count in enumerate(blocks):
            layer = []
            for index in range(count):
                layer.append(Block(inputs, 64 << stage, 2 if stage and not index else 1, bottleneck, attention))
                inputs = (64 << stage) * (4 if bottleneck else 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
            if attention == "bam" and stage < 3:
                setattr(self, f"bam{stage + 1}", OfficialBam(inputs))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
            x = getattr(self, f"bam{stage}", nn.Identity())(x)
        return self.fc(x.mean((2, 3)))


def timm(name, attention, **options):
    import timm

    return timm.create_model(name, block_args=dict(attn_layer=attention), **options)


def pytorchcv(name):
    import importlib

    family = {"cbam": "cbamresnet", "bam": "bamresnet", "se": "seresnet"}[name.split("_")[0].removesuffix("resnet18")]
    return getattr(importlib.import_module(f"pytorchcv.models.{family}"), name)()


def torchvision(name):
    import torchvision

    return torchvision.models.get_model(name)


DEPTHS = {18: ([2, 2, 2, 2], False), 34: ([3, 4, 6, 3], False), 50: ([3, 4, 6, 3], True), 101: ([3, 4, 23, 3], True)}
NETWORKS = {
    "official cbam resnet18": lambda: ResNet(*DEPTHS[18], "cbam"),
    "official cbam resnet50": lambda: ResNet(*DEPTHS[50], "cbam"),
    "official no_spatial resnet34": lambda: ResNet(*DEPTHS[34], "no_spatial", classes=7),
    "official bam resnet50": lambda: ResNet(*DEPTHS[50], "bam"),
    "casa fc resnet18": lambda: ResNet(*DEPTHS[18], "fc"),
    "casa fc12 resnet50": lambda: ResNet(*DEPTHS[50], "fc12", classes=2),
    "timm cbam resnet18": lambda: timm("resnet18", "cbam", num_classes=10),
    "timm cbam resnext50_32x4d": lambda: timm("resnext50_32x4d", "cbam"),
    "timm se resnet18": lambda: timm("resnet18", "se"),
    "timm eca resnet18": lambda: timm("resnet18", "eca"),
    "timm lcbam resnet18": lambda: timm("resnet18", "lcbam"),
    "timm none resnet50d": lambda: timm("resnet50d", None),
    "pytorchcv cbam resnet18": lambda: pytorchcv("cbam_resnet18"),
    "pytorchcv cbam resnet50": lambda: pytorchcv("cbam_resnet50"),
    "pytorchcv bam resnet18": lambda: pytorchcv("bam_resnet18"),
    "pytorchcv se resnet18": lambda: pytorchcv("seresnet18"),
} | {
    f"torchvision none {name}": lambda name=name: torchvision(name)
    for name in ["resnet18", "resnet34", "resnet50", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2", "vgg11", "vgg13_bn", "vgg16", "vgg19_bn", "mobilenet_v2", "densenet121"]
}
# Those that `--write` writes: one of every layout.
WRITTEN = ["official cbam resnet18", "official bam resnet50", "casa fc resnet18", "casa fc12 resnet50", "timm cbam resnet18", "pytorchcv cbam resnet18"]


def lines(network):
    norms = {name for name, module in network.named_modules() if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d))}
    seen = set()
    for key, value in network.state_dict().items():
        module = key.rsplit(".", 1)[0]
        if module not in norms:
            yield " ".join([key, *map(str, value.shape)])
        elif module not in seen:
            seen.add(module)
            yield f"~ {module} {value.shape[0]}"


def randomise(network):
    """Weights and statistics unlike any start, of a size that keeps features near 1."""
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif name.endswith("running_mean") or name.endswith("bias"):
            value.normal_(0, 0.2)
        elif value.dim() > 1:
            value.normal_(0, (1.5 / value[0].numel()) ** 0.5)
        elif value.is_floating_point():
            value.uniform_(0.5, 1.5)


def hook(network, place=""):
    """Handles on every sigmoid under `place`, and where their first outputs go: channel gates [C], spatial gates [h, w],
    BAM's [C, h, w]."""
    found, handles = {}, []
    for name, module in network.named_modules():
        if name.startswith(place) and isinstance(module, (Keep, nn.Sigmoid, SigmoidOfTimm)):
            keep = lambda _, __, out, name=name: found.__setitem__("gate:" + name, out[0].squeeze().contiguous())
            handles.append(module.register_forward_hook(keep))
    return handles, found


def gates(network, picture):
    """The logits, and every gate."""
    handles, found = hook(network)
    with torch.no_grad():
        found["logits"] = network(picture)[0]
    for handle in handles:
        handle.remove()
    return found


def photo():
    """A bundled photo of 128 by 96 pixels, as ImageNet's networks take it."""
    import numpy as np
    from PIL import Image

    pixels = np.asarray(Image.open(here.parents[2] / "assets/images/coffee.jpg").convert("RGB").resize((128, 96)))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((torch.from_numpy(pixels / 255.0).float() - mean) / std).permute(2, 0, 1)[None].contiguous()


def write(folder):
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    for name in WRITTEN:
        torch.manual_seed(3)
        network = NETWORKS[name]().eval()
        if hasattr(network, "features"):  # pytorchcv pools 7×7 patches; other sizes need the mean
            network.features.final_pool = nn.AdaptiveAvgPool2d(1)
        with torch.no_grad():
            randomise(network)
            if "bam" in name.split():  # nothing gates its branches: sixteen of them would add up to logits of hundreds
                for block in network.modules():
                    if isinstance(block, Block):
                        block.bn3.weight.mul_(0.2)
        picture = photo()
        stem = name.replace(" ", "-")
        wrapped = {"epoch": 1, "arch": stem, "state_dict": {"module." + key: value for key, value in network.state_dict().items()}, "best_prec1": 0.5}
        torch.save(network.state_dict(), folder / f"{stem}.pt")
        torch.save(wrapped, folder / f"{stem}.pth.tar", _use_new_zipfile_serialization=False)
        save_file({"picture": picture[0]} | gates(network, picture), folder / f"{stem}.safetensors")


# Where each layout keeps the attention of its first block.
FIRST = {
    "official cbam resnet18": "layer1.0.cbam",
    "casa fc resnet18": "layer1.0",
    "timm cbam resnet18": "layer1.0.se",
    "pytorchcv cbam resnet18": "features.stage1.unit1.cbam",
}


def first_gates():
    from safetensors.torch import save_file

    tensors = {}
    for number, (name, place) in enumerate(FIRST.items()):
        torch.manual_seed(number)
        network = NETWORKS[name]().eval()
        with torch.no_grad():
            randomise(network)
        block = network.get_submodule(place)
        picture = torch.randn(1, 64, 5, 7)
        attend = block if not hasattr(block, "ca") else lambda x: block.sa(y := block.ca(x) * x) * y
        wanted = ("cbam", "se", "ca", "sa") if attend is not block else ()
        _, found = hook(network, place)
        with torch.no_grad():
            attend(picture)
        tensors |= {f"{name}|{key}": value for key, value in found.items()} | {f"{name}|input": picture}
        for key, value in network.state_dict().items():
            part = key.removeprefix(place + ".")
            if part != key and part.split(".")[0] in (wanted or (part.split(".")[0],)) and "num_batches" not in key:
                tensors[f"{name}|{key}"] = value.clone()
    save_file(tensors, here / "gates.safetensors")


if len(sys.argv) == 3 and sys.argv[1] == "--write":
    write(pathlib.Path(sys.argv[2]))
else:
    with torch.device("meta"):
        text = "".join(f"= {name}\n" + "".join(line + "\n" for line in lines(make())) for name, make in NETWORKS.items())
    (here / "layouts.txt").write_text(text)
    first_gates()
