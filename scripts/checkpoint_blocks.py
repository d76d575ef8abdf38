"""Networks with attention as public repositories write them, for check_checkpoints.py: blocks, and a ResNet that holds them."""

import collections

import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 10


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
    """Both gates in one module, under the names given: the first before the second, or the other way round, or side by side."""

    def __init__(self, channels, names, channel, spatial, way="channel first"):
        super().__init__()
        self.order, self.way = [], way
        for name, make in zip(names, (channel, spatial)):
            if make:
                self.add_module(name, make(channels))
                self.order.append(name)

    def forward(self, x):
        if self.way == "side by side":
            return sum(getattr(self, name)(x) for name in self.order)
        for name in self.order if self.way == "channel first" else reversed(self.order):
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

    def __init__(self, inputs, width, outputs, stride, gates, stride_in=3, pooled_shortcut=False, late=False):
        super().__init__()
        norm = nn.BatchNorm2d
        self.deep, self.late = outputs != width, late
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
            layers = [nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs)]
            if pooled_shortcut:
                layers = [nn.AvgPool2d(stride, stride), nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs)]
            self.downsample = nn.Sequential(*layers)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.deep:
            y = self.bn3(self.conv3(F.relu(y)))
        if self.late:
            y = y + (self.downsample(x) if hasattr(self, "downsample") else x)
        for name in self.gates:
            y = getattr(self, name)(y)
        return F.relu(y if self.late else y + (self.downsample(x) if hasattr(self, "downsample") else x))


class ResNet(nn.Module):
    """torchvision's names, and attention wherever one wants it."""

    def __init__(self, counts=(2, 2, 2, 2), widen=1, gates=None, stem=None, stages=None, end=None, head="fc", pool=True, first=7,
                 channels=3, stride_in=3, wrapped=None, last_stride=2, **block):
        super().__init__()
        side, stride = (7, 2) if first == 7 else (3, 1)
        self.conv1, self.bn1 = nn.Conv2d(channels, 64, side, stride, side // 2, bias=False), nn.BatchNorm2d(64)
        self.parts = {"stem": self.added(stem, 64), "pool": pool, "stages": []}
        inputs = 64
        for stage, count in enumerate(counts):
            width = 64 << stage
            blocks = []
            for number in range(count):
                step = (last_stride if stage == 3 else 2) if stage and not number else 1
                blocks.append(Block(inputs, width, width * widen, step, gates or {}, stride_in, **block))
                inputs = width * widen
            stage_of = nn.Sequential(*blocks)
            setattr(self, f"layer{stage + 1}", nn.Sequential(stage_of, wrapped(inputs)) if wrapped else stage_of)
            after = {name.format(stage + 1): make for name, make in (stages or {}).items()} if stage < 4 else {}
            self.parts["stages"].append(self.added(after, inputs))
        self.parts["end"] = self.added(end, inputs)
        self.head_name, self.features = head, inputs
        if head == "norm":
            self.fc = nn.Sequential(nn.Linear(inputs, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, CLASSES))
        elif head == "fc":
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
        if self.head_name == "features":
            return x
        heads = {"fc": "fc", "norm": "fc", "dropout": "fc", "mlp": "fc", "classifier": "classifier", "last_linear": "last_linear"}
        if self.head_name in heads:
            return getattr(self, heads[self.head_name])(x)
        return self.head.fc(x) if self.head_name == "head.fc" else None


class Headed(nn.Module):
    """A ResNet under `backbone`, and layers behind its features beside it: `run` says how."""

    def __init__(self, layers, run):
        super().__init__()
        self.backbone, self.run = ResNet(head="features"), run
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        return self.run(self, self.backbone(x))


def changed(make, change):
    """A network after `change(module)` of all its modules."""
    def made():
        model = make()
        for module in list(model.modules()):
            change(module)
        return model
    return made
