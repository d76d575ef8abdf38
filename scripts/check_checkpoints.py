"""Checkpoints as other people's code writes them, run by cbam-run and by PyTorch, compared.

    check_checkpoints.py [--bin FOLDER] [--only PART …] [--list]

Builds each network below with its own library (timm, torchvision, pytorchcv) or with CBAM blocks in the names that public
repositories use, gives it random weights under which gates and BatchNorm matter, saves it, runs cbam-run on a photo that is not
square, and compares all logits and every gate with PyTorch's. Prints a table, and exits with 1 if a network is wrong without
a word: opened, with another answer than PyTorch's, and no assumption printed.

    right      the logits and all gates agree
    refused    not opened, and the message says why
    assumed    an assumption was printed; with `wrong` behind it if the answer is another one (then an option decides)
    WRONG      another answer, and not a word

Needs torch, timm, torchvision, pytorchcv, safetensors, numpy, Pillow (`make .venv`). One file at a time lies in a temporary folder.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import types
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import nn

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
CLASSES, SIZE = 10, (96, 64)  # of the photo, wide and high: what the network sees, nothing is resampled
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LITE = ((127 / 255,) * 3, (128 / 255,) * 3)
CLOSE = 1e-3  # of the largest logit; of a gate
NOISE = 20  # or as many times what PyTorch's own f32 is from its f64: deep networks of random weights make much of rounding


# ---------------------------------------------------------------------------------------------------------------- blocks

class Gate(nn.Module):
    """A channel gate over the mean and the maximum, its two layers under any names."""

    def __init__(self, channels, names=("fc1", "fc2"), linear=False, bias=False, reduction=16, pools=("mean", "max"), inner=None):
        super().__init__()
        hidden = max(channels // reduction, 1)
        layer = (lambda i, o: nn.Linear(i, o, bias=bias)) if linear else (lambda i, o: nn.Conv2d(i, o, 1, bias=bias))
        first, second = layer(channels, hidden), layer(hidden, channels)
        if inner:  # a Sequential of that name: first, ReLU, second, after `inner[1]` layers without weights
            before = [nn.Flatten() if linear else nn.Identity()] * inner[1]
            setattr(self, inner[0], nn.Sequential(*before, first, nn.ReLU(), second))
        else:
            setattr(self, names[0], first), setattr(self, names[1], second)
        self.layers, self.linear, self.pools = [first, second], linear, pools

    def forward(self, x):
        first, second = self.layers
        total = 0
        for pool in self.pools:
            pooled = x.mean((2, 3), keepdim=True) if pool == "mean" else x.amax((2, 3), keepdim=True)
            total = total + second(F.relu(first(pooled.flatten(1) if self.linear else pooled)))
        gate = torch.sigmoid(total)
        return x * (gate[:, :, None, None] if self.linear else gate)


class Spatial(nn.Module):
    """A spatial gate, its convolution under any name."""

    def __init__(self, name="conv1", order="mean,max", kernel=7, bias=False, norm=None):
        super().__init__()
        conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=bias)
        owner, _, last = name.rpartition(".")
        home = self
        if owner:
            home = nn.Module()
            self.add_module(owner, home)
        home.add_module(last, conv)
        self.conv_of, self.order, self.norm_of = [conv], order.split(","), []
        if norm:
            home.add_module(norm, nn.BatchNorm2d(1))
            self.norm_of = [getattr(home, norm)]

    def forward(self, x):
        pools = {"mean": x.mean(1, keepdim=True), "max": x.amax(1, keepdim=True)}
        logits = self.conv_of[0](torch.cat([pools[pool] for pool in self.order], 1))
        for norm in self.norm_of:
            logits = norm(logits)
        return x * torch.sigmoid(logits)


class Pair(nn.Module):
    """Both gates in one module, under the names given."""

    def __init__(self, channels, names, channel, spatial):
        super().__init__()
        self.order = []
        for name, make in zip(names, (channel, spatial)):
            if make:
                self.add_module(name, make(channels))
                self.order.append(name)

    def forward(self, x):
        for name in self.order:
            x = getattr(self, name)(x)
        return x


class EcaOfAuthors(nn.Module):
    def __init__(self, channels, kernel=3):
        super().__init__()
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x):
        y = self.conv(x.mean((2, 3))[:, None])
        return x * torch.sigmoid(y)[:, 0, :, None, None]


class OfficialBam(nn.Module):
    def __init__(self, channels, reduction=16, dilation=4):
        super().__init__()
        hidden = channels // reduction
        self.channel_att = nn.Module()
        gate = nn.Sequential(collections.OrderedDict(
            flatten=nn.Flatten(), gate_c_fc_0=nn.Linear(channels, hidden), gate_c_bn_1=nn.BatchNorm1d(hidden), gate_c_relu_1=nn.ReLU(),
            gate_c_fc_final=nn.Linear(hidden, channels)))
        self.channel_att.add_module("gate_c", gate)
        layers = collections.OrderedDict(
            gate_s_conv_reduce0=nn.Conv2d(channels, hidden, 1), gate_s_bn_reduce0=nn.BatchNorm2d(hidden), gate_s_relu_reduce0=nn.ReLU())
        for i in range(2):
            layers[f"gate_s_conv_di_{i}"] = nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation)
            layers[f"gate_s_bn_di_{i}"], layers[f"gate_s_relu_di_{i}"] = nn.BatchNorm2d(hidden), nn.ReLU()
        layers["gate_s_conv_final"] = nn.Conv2d(hidden, 1, 1)
        self.spatial_att = nn.Module()
        self.spatial_att.add_module("gate_s", nn.Sequential(layers))

    def forward(self, x):
        channel = self.channel_att.gate_c(x.mean((2, 3)))[:, :, None, None]
        return x * (1 + torch.sigmoid(channel * self.spatial_att.gate_s(x)))


class Block(nn.Module):
    """A residual block; `gates` are modules by name that stand before the addition."""

    def __init__(self, inputs, width, outputs, stride, gates, stride_in=3):
        super().__init__()
        norm = nn.BatchNorm2d
        self.deep = outputs != width
        if self.deep:
            first, second = (stride, 1) if stride_in == 1 else (1, stride)
            self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, first, bias=False), norm(width)
            self.conv2, self.bn2 = nn.Conv2d(width, width, 3, second, 1, bias=False), norm(width)
            self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), norm(outputs)
        else:
            self.conv1, self.bn1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False), norm(width)
            self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), norm(width)
        self.gates = []
        for name, make in gates.items():
            self.add_module(name, make(outputs))
            self.gates.append(name)
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.deep:
            y = self.bn3(self.conv3(F.relu(y)))
        for name in self.gates:
            y = getattr(self, name)(y)
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(nn.Module):
    """torchvision's names, and attention wherever one wants it."""

    def __init__(self, counts=(2, 2, 2, 2), widen=1, gates=None, stem=None, stages=None, end=None, head="fc", pool=True, first=7,
                 channels=3, stride_in=3):
        super().__init__()
        side, stride = (7, 2) if first == 7 else (3, 1)
        self.conv1, self.bn1 = nn.Conv2d(channels, 64, side, stride, side // 2, bias=False), nn.BatchNorm2d(64)
        self.parts = {"stem": self.added(stem, 64), "pool": pool, "stages": []}
        inputs = 64
        for stage, count in enumerate(counts):
            width = 64 << stage
            blocks = []
            for block in range(count):
                step = 2 if stage and not block else 1
                blocks.append(Block(inputs, width, width * widen, step, gates or {}, stride_in))
                inputs = width * widen
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            after = {name.format(stage + 1): make for name, make in (stages or {}).items()} if stage < 4 else {}
            self.parts["stages"].append(self.added(after, inputs))
        self.parts["end"] = self.added(end, inputs)
        self.head_name, self.features = head, inputs
        if head == "fc":
            self.fc = nn.Linear(inputs, CLASSES)
        elif head == "dropout":
            self.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(inputs, CLASSES))
        elif head == "mlp":
            self.fc = nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, CLASSES))
        elif head == "classifier":
            self.classifier = nn.Linear(inputs, CLASSES, bias=False)
        elif head == "last_linear":
            self.last_linear = nn.Linear(inputs, CLASSES)
        elif head == "head.fc":
            self.head = nn.Module()
            self.head.fc = nn.Linear(inputs, CLASSES)

    def added(self, gates, channels):
        for name, make in (gates or {}).items():
            self.add_module(name, make(channels))
        return list(gates or {})

    def apply_all(self, names, x):
        for name in names:
            x = getattr(self, name)(x)
        return x

    def forward(self, x):
        x = self.apply_all(self.parts["stem"], F.relu(self.bn1(self.conv1(x))))
        if self.parts["pool"]:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage, after in enumerate(self.parts["stages"]):
            x = self.apply_all(after, getattr(self, f"layer{stage + 1}")(x))
        x = self.apply_all(self.parts["end"], x).mean((2, 3))
        heads = {"fc": "fc", "dropout": "fc", "mlp": "fc", "classifier": "classifier", "last_linear": "last_linear"}
        if self.head_name in heads:
            return getattr(self, heads[self.head_name])(x)
        return self.head.fc(x) if self.head_name == "head.fc" else None


# The names inside a block, as public repositories have them: gates by name, from the channels.
def separate(channel, spatial, order="mean,max", inner=None, names=("fc1", "fc2"), conv="conv1", **more):
    kind = {key: more.pop(key) for key in ("linear", "bias", "pools") if key in more}
    return {channel: lambda c: Gate(c, names, inner=inner, **kind), spatial: lambda c: Spatial(conv, order, **more)}


def together(name, channel, spatial, order="mean,max", inner=None, names=("fc1", "fc2"), conv="conv1", **more):
    kind = {key: more.pop(key) for key in ("linear", "bias", "pools") if key in more}
    make = lambda c: Pair(c, (channel, spatial), lambda c: Gate(c, names, inner=inner, **kind), lambda c: Spatial(conv, order, **more))
    return {name: make}


def official(name="cbam", order="max,mean"):
    return together(name, "ChannelGate", "SpatialGate", order, ("mlp", 1), conv="spatial.conv", norm="bn", linear=True, bias=True)


# -------------------------------------------------------------------------------------------------------------- the list

def torchvision_(name, **more):
    def make():
        import torchvision
        return getattr(torchvision.models, name)(num_classes=CLASSES, **more)
    return make


def timm_(name, **more):
    def make():
        import timm
        return timm.create_model(name, num_classes=CLASSES, **more)
    return make


def pytorchcv_(name):
    def make():
        from pytorchcv.model_provider import get_model
        model = get_model(name, num_classes=CLASSES, in_size=(SIZE[1], SIZE[0]))
        model.features.final_pool = nn.AdaptiveAvgPool2d(1)  # is made for 7×7 alone, and has no weights
        return model
    return make


def own(*arguments, **more):
    return lambda: ResNet(*arguments, **more)


R50 = ((3, 4, 6, 3), 4)


class Config:
    def __init__(self):
        self.lr, self.inner = 0.1, {"milestones": [30, 60]}


def plain(model, tensors):
    return tensors


def prefixed(prefix, **beside):
    return lambda model, tensors: {**{prefix + name: tensor for name, tensor in tensors.items()}, **beside}


def training(model, tensors):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return {"epoch": 3, "arch": "resnet18", "state_dict": prefixed("module.")(model, tensors), "optimizer": optimizer.state_dict(),
            "config": Config(), "best_acc1": torch.tensor(70.5)}


def averaged(model, tensors):
    return {**prefixed("module.")(model, tensors), "n_averaged": torch.tensor(5)}


def two_parts(model, tensors):
    return {"student": prefixed("module.")(model, tensors), "teacher": tensors, "epoch": 4}


def network(name, make, save=plain, options=(), mean_std=IMAGENET, kind="", size=SIZE):
    return types.SimpleNamespace(name=name, make=make, save=save, options=list(options), mean_std=mean_std, kind=kind, size=size)


FIVE = "cannot be told"  # of the kind that names and shapes cannot tell
LIST = [
    *(network(f"torchvision {name}", torchvision_(name)) for name in
      ("resnet18", "resnet34", "resnet50", "resnet101", "wide_resnet50_2", "resnext50_32x4d", "vgg11", "vgg16_bn", "mobilenet_v2")),
    *(network(f"timm {name}", timm_(name)) for name in ("resnet18", "resnet50", "vgg13")),
    *(network(f"timm {name} {layer}", timm_(name, block_args={"attn_layer": layer})) for name, layer in
      (("resnet18", "cbam"), ("resnet50", "cbam"), ("resnet18", "se"), ("resnet18", "eca"), ("resnet50", "eca"), ("resnet34", "lcbam"))),
    network("timm seresnet50", timm_("seresnet50")),
    network("timm ecaresnet50t", timm_("ecaresnet50t")),
    network("timm tf_efficientnet_lite0", timm_("tf_efficientnet_lite0"), mean_std=LITE),
    network("timm efficientnet_lite0", timm_("efficientnet_lite0"), mean_std=LITE, kind=FIVE),
    *(network(f"pytorchcv {name}", pytorchcv_(name)) for name in
      ("resnet18", "resnet50b", "seresnet18", "seresnet50b", "cbam_resnet18", "cbam_resnet50", "bam_resnet18", "bam_resnet50",
       "resnext50_32x4d", "mobilenetv2_w1")),
    *(network(f"pytorchcv {name}", pytorchcv_(name), kind=FIVE) for name in ("resnet50", "resnet101", "seresnet50")),
    network("pytorchcv resnet50, --stride-in 1x1", pytorchcv_("resnet50"), options=["--stride-in", "1x1"]),
    # CBAM blocks in the names of public repositories.
    network("official names", own(gates=official())),
    network("official names, R50", own(*R50, gates=official())),
    network("official names as att", own(gates=official("att"))),
    network("official BAM", own(stages={"bam{}": OfficialBam})),
    network("ca.fc1 sa.conv1", own(gates=separate("ca", "sa"))),
    network("ca.fc.0 sa.conv1, R50", own(*R50, gates=separate("ca", "sa", inner=("fc", 0)))),
    network("ca.fc.0 sa.conv1 biased", own(gates=separate("ca", "sa", inner=("fc", 0), bias=False) | {"sa": lambda c: Spatial("conv1", bias=True)})),
    network("channel_attention.fc.0 spatial_attention.conv", own(gates=together("cbam", "channel_attention", "spatial_attention", inner=("fc", 0), conv="conv"))),
    network("channel_attention.mlp.0", own(gates=separate("channel_attention", "spatial_attention", inner=("mlp", 0), conv="conv"))),
    network("ca.mlp.0 sa.conv", own(gates=separate("ca", "sa", inner=("mlp", 0), conv="conv"))),
    network("channel_attention spatial_attention.conv1", own(gates=separate("channel_attention", "spatial_attention"))),
    network("attention1 attention2", own(gates=separate("attention1", "attention2", inner=("fc", 0), conv="conv"))),
    network("cbam.shared_MLP, k = 3", own(gates=together("cbam", "channel", "spatial", inner=("shared_MLP", 0), conv="conv", kernel=3))),
    network("linear, bias, BatchNorm, mean first", own(gates=together("cbam", "ca", "sa", inner=("mlp", 1), conv="conv", norm="bn", linear=True, bias=True))),
    network("spatial alone", own(gates={"sa": lambda c: Spatial("conv1")})),
    network("se.fc.0 (authors')", own(gates={"se": lambda c: Gate(c, inner=("fc", 0), linear=True, pools=("mean",))})),
    network("eca.conv (authors')", own(gates={"eca": EcaOfAuthors})),
    # Places.
    network("ca, sa after the stem; ca1, sa1 at the end", own(stem=separate("ca", "sa", inner=("fc", 0)), end=separate("ca1", "sa1", inner=("fc", 0)))),
    network("cbam1 … cbam4 after the stages", own(stages=together("cbam{}", "ca", "sa", inner=("fc", 0)))),
    network("cbam near the head, R50", own(*R50, end=together("cbam", "ca", "sa", inner=("fc", 0)))),
    # Around the network.
    network("prefix net.", own(gates=separate("ca", "sa")), prefixed("net.")),
    network("prefix module.encoder_q.", own(), prefixed("module.encoder_q.")),
    network("backbone. and head.fc", own(head="head.fc"), lambda m, t: {("backbone." * (not n.startswith("head.")) + n): v for n, v in t.items()}),
    network("Lightning, a loss's buffer", own(), prefixed("model.", **{"criterion.pos_weight": torch.ones(3)})),
    network("averaged (SWA)", own(gates=official()), averaged),
    network("a training script's dictionary", own(gates=official()), training),
    network("student and teacher, --part", own(), two_parts, options=["--part", "student"]),
    network("student and teacher", own(), two_parts),
    network("head: Sequential(Dropout, Linear)", own(head="dropout")),
    network("head: MLP", own(head="mlp")),
    network("head: classifier, no bias", own(head="classifier")),
    network("head: last_linear", own(gates=separate("ca", "sa"), head="last_linear")),
    network("head: none", own(head=None)),
    network("stem of one channel", own(channels=1)),
    # What names and shapes cannot tell.
    network("3×3 stem, no max-pool (CIFAR)", own(first=3, pool=False), kind=FIVE),
    network("max-pool left out, CBAM", own(gates=separate("ca", "sa"), pool=False), kind=FIVE),
    network("ca.fc.0 sa.conv1, max first", own(gates=separate("ca", "sa", "max,mean", inner=("fc", 0))), kind=FIVE),
    network("ca.fc.0, max first, --pool-order", own(gates=separate("ca", "sa", "max,mean", inner=("fc", 0))), options=["--pool-order", "max-mean"]),
    network("official names, mean first", own(gates=official(order="mean,max")), kind=FIVE),
    network("plain R50, stride in 1×1", own(*R50, stride_in=1), kind=FIVE),
    network("CBAM R50, stride in 1×1", own(*R50, gates=separate("ca", "sa"), stride_in=1), kind=FIVE),
    network("channel gate alone, mean and max", own(gates={"att": lambda c: Gate(c, inner=("fc", 0))}), kind=FIVE),
    network("--arch over CBAM", own(gates=separate("ca", "sa")), options=["--arch", "resnet18"], kind=FIVE),
    network("after the addition", own(stages=together("att{}", "ca", "sa")), kind=FIVE),
]


# -------------------------------------------------------------------------------------------------------------- the work

class Recorder:
    """Keeps what sigmoids give while a network runs."""

    def __enter__(self):
        self.gates, self.kept = [], (torch.sigmoid, torch.Tensor.sigmoid, nn.Sigmoid.forward, F.sigmoid)
        plain = self.kept[0]

        def record(x, *_, **__):
            out = plain(x)
            self.gates.append(out.detach())
            return out

        torch.sigmoid = torch.Tensor.sigmoid = F.sigmoid = record
        nn.Sigmoid.forward = lambda _, x: record(x)
        self.inplace, torch.Tensor.sigmoid_ = torch.Tensor.sigmoid_, record
        return self

    def __exit__(self, *_):
        torch.sigmoid, torch.Tensor.sigmoid, nn.Sigmoid.forward, F.sigmoid = self.kept
        torch.Tensor.sigmoid_ = self.inplace


def channel_and_spatial(gates):
    """The recorded gates as [C] and [h, w]; a full one (BAM) as its means."""
    channel, spatial = [], []
    for gate in gates:
        size = list(gate.shape[1:])
        if len(size) == 3 and size[0] > 1 and size[1] * size[2] > 1:
            channel.append(gate[0].mean((1, 2))), spatial.append(gate[0].mean(0))
        elif len(size) == 3 and size[0] == 1 and size[1] * size[2] > 1:
            spatial.append(gate[0, 0])
        else:
            channel.append(gate.flatten())
    return channel, spatial


def randomise(model, seed, channels, size):
    """Weights under which every layer, BatchNorm and gate matters, and nothing explodes."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear, nn.Conv1d)):
                fan = module.weight[0].numel()
                gain = {True: 2.0, False: 1.4}[module.weight.shape[0] == 1 or isinstance(module, nn.Conv1d)]
                module.weight.copy_(torch.randn_like(module.weight) * gain / fan**0.5)
                if module.bias is not None:
                    module.bias.copy_(torch.randn_like(module.bias) * 0.3)
            if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d)):
                module.weight.copy_(torch.empty_like(module.weight).uniform_(0.6, 1.4))
                module.bias.copy_(torch.randn_like(module.bias) * 0.2)
                module.momentum = 1.0
        model.train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        model(torch.randn(4, channels, size[1], size[0]))
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d)):
                deviation = module.running_var.sqrt()
                module.running_mean += 0.1 * deviation * torch.randn_like(deviation)
                module.running_var *= torch.empty_like(deviation).uniform_(0.8, 1.25)
                module.momentum = 0.1
    return model.eval()


def picture(path, size, seed=5):
    """A photo without a like: smooth, coloured, not symmetric."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), np.uint8))
    pixels = np.asarray(coarse.resize(size, Image.BICUBIC)).astype(float) + rng.normal(0, 12, (size[1], size[0], 3))
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    image.save(path)
    return np.asarray(image)


def as_input(pixels, mean_std, channels):
    mean, std = (torch.tensor(values, dtype=torch.float32) for values in mean_std)
    x = torch.from_numpy(pixels.astype(np.float32)) / 255
    if channels == 1:
        x = (x @ torch.tensor([0.299, 0.587, 0.114]))[..., None]
        mean, std = mean.mean()[None], std.mean()[None]
    return ((x - mean) / std).permute(2, 0, 1)[None]


def run(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, errors="replace")
    return done.returncode, done.stdout, done.stderr.strip()


def check(program, item, seed, folder, helps):
    file, photo = folder / "net.pth", folder / "photo.png"
    pixels = picture(photo, item.size)
    try:
        model = item.make()
        channels = next(m for m in model.modules() if isinstance(m, nn.Conv2d)).in_channels
        randomise(model, seed, channels, item.size)
        torch.save(item.save(model, model.state_dict()), file)
        x = as_input(pixels, item.mean_std, channels)
        with torch.no_grad(), Recorder() as recorder:
            logits = model(x)
        noise = [0.0, 0.0]
        with torch.no_grad(), Recorder() as exact:
            exact_logits = model.double()(x.double())
        if logits is not None:
            noise[0] = float((exact_logits - logits).abs().max())
            if not np.isfinite(noise[0]) or float(logits.std()) < 1e-3:
                raise RuntimeError(f"its logits say nothing: {logits.flatten()[:3].tolist()}")
        for one, other in zip(recorder.gates, exact.gates):
            noise[1] = max(noise[1], float((one - other).abs().max()))
    except Exception as error:  # the library has no such network, or it takes no such picture
        return ["not built", "", "", "", str(error).splitlines()[0][:90]]
    expected = channel_and_spatial(recorder.gates)

    missing = [option for option in item.options if option.startswith("--") and f"{option} " not in helps]
    if missing:
        return ["no option", "", "", "", " ".join(missing)]
    common = [*item.options, "--weights", file]
    code, maps, said = run(program, "--list-maps", *common)
    if code:
        return ["refused", "", "", "", last(said)]
    names = [name for name in maps.splitlines() if name.startswith(("spatial:", "channel:"))]
    short = min(item.size)
    wanted = names or ["eigencam"]
    arguments = [photo, *common, "--size", short, "--maps-dir", folder / "maps", "--json", folder / "r.json"]
    code, _, said = run(program, *arguments, *(part for name in wanted for part in ("--map", name)))
    if code:
        return ["refused", "", "", "", last(said)]
    assumed = [line for line in said.splitlines() if "assum" in line.lower()]

    off, scale = 0.0, 1.0
    if logits is None:
        pass  # no classes
    elif "--check " in helps:
        save_file({"input": x.contiguous(), "logits": logits.contiguous()}, folder / "reference.safetensors")
        code, out, more = run(program, "--check", folder / "reference.safetensors", *common)
        lines = [line for line in out.splitlines() if "largest difference" in line]
        if not lines:
            return ["refused", "", "", "", last(more)]
        for line in lines:
            words = line.split("largest difference ")[1]
            off = max(off, finite(float(words.split(",")[0])))
            scale = float(words.split("values up to ")[1].split(";")[0])
    else:
        answer = json.loads((folder / "r.json").read_text())[0]
        chances = torch.softmax(logits[0], 0)
        for top in answer["top"]:
            off = max(off, abs(top["probability"] - float(chances[top["class"]])))
    found = {"channel": [], "spatial": []}
    for name in names:
        part = "" if len(wanted) == 1 else "." + name.replace(":", "-")
        found[name.split(":")[0]].append(np.load(folder / "maps" / f"photo{part}.npy").squeeze())
    gates, wrong = 0.0, ""
    for kind, theirs in zip(("channel", "spatial"), expected):
        ours = found[kind]
        if len(ours) != len(theirs):
            wrong = f"{len(ours)} {kind} gates, PyTorch has {len(theirs)}"
            continue
        for one, other in zip(ours, theirs):
            other = other.squeeze().numpy()
            gates = max(gates, finite(float(np.abs(one - other).max())) if one.shape == other.shape else 1.0)
    near = off <= max(CLOSE * scale, NOISE * noise[0]) and gates <= max(CLOSE, NOISE * noise[1])
    right = near and not wrong
    verdict = "right" if right else "WRONG"
    if assumed:
        verdict = "assumed" if right else "assumed, wrong"
    note = wrong or (assumed[0] if assumed else "")
    return [verdict, f"{off:.1e}", f"{gates:.1e}" if names else "none", f"{len(names)}", note]


def finite(number):
    """What is no number is as wrong as can be."""
    return number if np.isfinite(number) else float("inf")


def last(text):
    return text.splitlines()[-1][:230] if text else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("target/release"))
    parser.add_argument("--only", nargs="*", default=[], help="those whose name holds one of these")
    parser.add_argument("--list", action="store_true")
    asked = parser.parse_args()
    items = [item for item in LIST if not asked.only or any(part in item.name for part in asked.only)]
    if asked.list:
        print("\n".join(item.name for item in items))
        return 0
    program = asked.bin / "cbam-run"
    helps = run(program, "--help")[1] + " "
    helps = helps.replace("\n", " \n")
    counts = collections.Counter()
    print(f"{'network':50} {'verdict':15} {'logits':>8} {'gates':>8} {'n':>3}  what it says")
    for seed, item in enumerate(LIST):
        if item not in items:
            continue
        with tempfile.TemporaryDirectory() as folder:
            verdict, logits, gates, count, note = check(program, item, seed, pathlib.Path(folder), helps)
        note = note.replace(folder, "")
        counts[verdict] += 1
        tag = "*" if item.kind == FIVE else " "
        print(f"{item.name:49}{tag} {verdict:15} {logits:>8} {gates:>8} {count:>3}  {note}", flush=True)
    print(f"{sum(counts.values())} networks: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    print("* what names and shapes cannot tell")
    return 1 if counts["WRONG"] else 0


if __name__ == "__main__":
    sys.exit(main())
