"""Checkpoints of networks in other people's names, by PyTorch code, and what the networks answer.

    answers.py    writes answers.txt, per network a line `= name` and a line per tensor, as layouts.txt has them; and
                  answers.safetensors: for each its logits and its gates, in the order in which they run

The weights follow the rule of tests/golden/torchvision/gen.py, by the names that the checkpoints have. The picture is not square.
"""
import importlib.util
import pathlib

import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

torch.set_num_threads(1)
here = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("rule", here.parent / "torchvision/gen.py")
source = (here.parent / "torchvision/gen.py").read_text().split("\ndef stages")[0]
rule = {}
exec(source, rule)
fill, unit = rule["fill"], rule["unit"]
CLASSES = 9


class Gate(nn.Module):
    """A sigmoid that is remembered."""

    found = []

    def forward(self, x):
        gate = torch.sigmoid(x)
        Gate.found.append(gate[0].squeeze())
        return gate


def place(root, path, module):
    """Hangs a module below another under a name with dots."""
    *parents, last = path.split(".")
    for name in parents:
        if not hasattr(root, name):
            root.add_module(name, nn.Module())
        root = getattr(root, name)
    root.add_module(last, module)


class Attention(nn.Module):
    """CBAM, or half of it, squeeze-and-excitation or ECA, whose layers have these names below another module."""

    def __init__(self, owner, channels, fc1=None, fc2=None, conv=None, bn=None, order="mean max", linear=False, bias=False,
                 conv_bias=False, side=7, pools="mean max", eca=None, reduction=16):
        super().__init__()
        hidden = channels // reduction
        self.order, self.pools, self.linear = order.split(), pools.split(), linear
        layer = (lambda i, o: nn.Linear(i, o, bias=bias)) if linear else (lambda i, o: nn.Conv2d(i, o, 1, bias=bias))
        self.parts = []
        parts = dict(fc1=fc1 and (fc1, layer(channels, hidden)), fc2=fc2 and (fc2, layer(hidden, channels)),
                     conv=conv and (conv, nn.Conv2d(2, 1, side, padding=side // 2, bias=conv_bias)),
                     bn=bn and (bn, nn.BatchNorm2d(1)), eca=eca and (eca, nn.Conv1d(1, 1, 3, padding=1, bias=False)))
        for name, part in parts.items():
            if part:
                place(owner, *part)
                self.parts.append(name)
                object.__setattr__(self, name, part[1])  # not a module of its own: it has its name already
        self.gate = Gate()

    def forward(self, x):
        if "eca" in self.parts:
            return x * self.gate(self.eca(x.mean((2, 3))[:, None])).transpose(1, 2)[..., None]
        if "fc1" in self.parts:
            pool = lambda kind: x.mean((2, 3), keepdim=True) if kind == "mean" else x.amax((2, 3), keepdim=True)
            mlp = lambda xs: self.fc2(F.relu(self.fc1(xs.flatten(1) if self.linear else xs)))
            x = x * self.gate(sum(mlp(pool(kind)) for kind in self.pools)).reshape(x.shape[0], -1, 1, 1)
        if "conv" in self.parts:
            pool = lambda kind: x.mean(1, keepdim=True) if kind == "mean" else x.amax(1, keepdim=True)
            pooled = self.conv(torch.cat([pool(kind) for kind in self.order], 1))
            x = x * self.gate(self.bn(pooled) if "bn" in self.parts else pooled)
        return x


class Block(nn.Module):
    def __init__(self, inputs, planes, stride, shortcut, inside):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, planes, 3, stride, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False), nn.BatchNorm2d(planes)
        self.short = None
        if stride != 1 or inputs != planes:
            self.short = shortcut
            setattr(self, shortcut, nn.Sequential(nn.Conv2d(inputs, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)))
        self.attend = [Attention(self, planes, **inside)] if inside else []

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        for attend in self.attend:
            y = attend(y)
        return F.relu(y + (getattr(self, self.short)(x) if self.short else x))


class ResNet(nn.Module):
    """ResNet-18 with attention inside its blocks, or at `beside`: (place, names), place `stem` or a stage's number."""

    def __init__(self, inside=None, beside=(), head="fc", stem=(7, 2), pool=True, channels=3, shortcut="downsample"):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, stem[0], stem[1], stem[0] // 2, bias=False)
        self.bn1, self.pool, inputs = nn.BatchNorm2d(64), pool, 64
        for stage in range(4):
            blocks = []
            for index in range(2):
                blocks.append(Block(inputs, 64 << stage, 2 if stage and not index else 1, shortcut, inside))
                inputs = 64 << stage
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.beside = {where: [Attention(self, 64 if where == "stem" else 32 << where, **names)] for where, names in beside}
        self.head = head
        if head:
            setattr(self, head, nn.Linear(512, CLASSES))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for attend in self.beside.get("stem", []):
            x = attend(x)
        x = F.max_pool2d(x, 3, 2, 1) if self.pool else x
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
            for attend in self.beside.get(stage, []):
                x = attend(x)
        x = x.mean((2, 3))
        return getattr(self, self.head)(x) if self.head else x[:, :0]


def headed(head):
    network = torchvision.models.resnet18()
    network.fc = head
    return network


def renamed(name, head=None):
    """With its last layer under another name."""
    network = torchvision.models.resnet18()
    network.fc = nn.Identity()
    wrapped = nn.Module()
    wrapped.forward = lambda x: getattr(wrapped, name)(network(x))
    for child, module in network.named_children():
        wrapped.add_module(child, module)
    wrapped.add_module(name, head or nn.Linear(512, CLASSES))
    return wrapped


class Wrapped(nn.Module):
    """Other modules around and beside a network."""

    def __init__(self, answer, **modules):
        super().__init__()
        self.answer = answer
        for path, module in modules.items():
            place(self, path.replace("__", "."), module)

    def forward(self, x):
        return self.answer(self, x)


def children():
    """The usual way to cut a backbone: its children one after another, without names."""
    cut = nn.Sequential(*list(torchvision.models.resnet18().children())[:-1])
    return Wrapped(lambda m, x: m.model.classifier(m.model.backbone(x).flatten(1)), model__backbone=cut, model__classifier=nn.Linear(512, CLASSES))


def beside():
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.ones(CLASSES))
    return Wrapped(lambda m, x: m.model(x), model=torchvision.models.resnet18(num_classes=CLASSES), criterion=loss, projector=nn.Linear(512, 128))


def mmpretrain():
    backbone = torchvision.models.resnet18()
    backbone.fc = nn.Identity()
    return Wrapped(lambda m, x: m.head.fc(m.backbone(x)), backbone=backbone, head__fc=nn.Linear(512, CLASSES))


def backbone_and(answer, **modules):
    """Features under `backbone`, and the layers of a head beside it."""
    backbone = torchvision.models.resnet18()
    backbone.fc = nn.Identity()
    return Wrapped(lambda m, x: answer(m, m.backbone(x)), backbone=backbone, **modules)


def stages_wrapped():
    """Every stage with a gate behind it in a container."""
    network = torchvision.models.resnet18(num_classes=CLASSES)
    for stage in range(1, 5):
        owner = nn.Module()
        owner.forward = Attention(owner, 32 << stage, **CA_SA).forward
        setattr(network, f"layer{stage}", nn.Sequential(getattr(network, f"layer{stage}"), owner))
    return network


def vgg(*classifier):
    network = torchvision.models.vgg11()
    network.classifier = nn.Sequential(*classifier)
    return network


class Pointwise(nn.Module):
    """A 1×1 convolution as a head."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(512, CLASSES, 1)

    def forward(self, x):
        return self.conv(x[:, :, None, None]).flatten(1)


def pytorchcv(family, name):
    network = getattr(importlib.import_module(f"pytorchcv.models.{family}"), name)(num_classes=CLASSES)
    network.features.final_pool = nn.AdaptiveAvgPool2d(1)
    return network


CA_SA = dict(fc1="ca.fc1", fc2="ca.fc2", conv="sa.conv1")
FULL = dict(bias=True, linear=True)


def named(before="", after=""):
    """CBAM's two halves, with something before or behind their names."""
    return dict(fc1=f"{before}ca{after}.fc1", fc2=f"{before}ca{after}.fc2", conv=f"{before}sa{after}.conv1")


NETWORKS = {
    "averaged": lambda: torch.optim.swa_utils.AveragedModel(torchvision.models.resnet18(num_classes=CLASSES)),
    "beside": beside,
    "encoder": lambda: Wrapped(lambda m, x: m.module.encoder_q(x), module__encoder_q=torchvision.models.resnet18(num_classes=CLASSES)),
    "mmpretrain": mmpretrain,
    "children": children,
    "head dropout": lambda: headed(nn.Sequential(nn.Dropout(), nn.Linear(512, CLASSES))),
    "head mlp": lambda: headed(nn.Sequential(nn.Linear(512, 40), nn.ReLU(), nn.Dropout(), nn.Linear(40, CLASSES))),
    "head norms": lambda: headed(nn.Sequential(nn.BatchNorm1d(512), nn.Linear(512, 40), nn.BatchNorm1d(40), nn.ReLU(), nn.Linear(40, CLASSES, bias=False))),
    "head linear": lambda: headed(nn.Sequential(nn.Linear(512, 40), nn.Linear(40, CLASSES))),
    "head last_linear": lambda: renamed("last_linear"),
    "head classifier": lambda: renamed("classifier", nn.Sequential(nn.Dropout(), nn.Linear(512, CLASSES))),
    "head pointwise": lambda: renamed("classifier", Pointwise()),
    "head none": lambda: ResNet(head=None),
    "cbam ca.fc1 sa.conv max mean": lambda: ResNet(dict(CA_SA, conv="sa.conv", order="max mean")),
    "cbam shared_mlp": lambda: ResNet(dict(fc1="cbam.channel_attention.shared_mlp.1", fc2="cbam.channel_attention.shared_mlp.3", conv="cbam.spatial_attention.spatial_attention.0", bn="cbam.spatial_attention.spatial_attention.1", **FULL)),
    "cbam official": lambda: ResNet(dict(fc1="att.ChannelGate.mlp.1", fc2="att.ChannelGate.mlp.3", conv="att.SpatialGate.spatial.conv", bn="att.SpatialGate.spatial.bn", order="max mean", **FULL)),
    "cbam attention1 attention2": lambda: ResNet(dict(fc1="attention1.fc.0", fc2="attention1.fc.2", conv="attention2.conv", reduction=8)),
    "cbam conv bias": lambda: ResNet(dict(fc1="ca.fc.0", fc2="ca.fc.2", conv="sa.conv1", conv_bias=True, side=3)),
    "cbam conv bias and norm": lambda: ResNet(dict(fc1="ca.fc.0", fc2="ca.fc.2", conv="sa.conv1", bn="sa.bn", conv_bias=True)),
    "spatial alone": lambda: ResNet(dict(conv="sa.conv1")),
    "channel alone": lambda: ResNet(dict(fc1="ca.fc.0", fc2="ca.fc.2")),
    "se of its authors": lambda: ResNet(dict(fc1="se.fc.0", fc2="se.fc.2", pools="mean", linear=True)),
    "eca of its authors": lambda: ResNet(dict(eca="eca.conv")),
    "first and last": lambda: ResNet(beside=[("stem", CA_SA), (4, dict(fc1="ca1.fc1", fc2="ca1.fc2", conv="sa1.conv1"))]),
    "behind every stage": lambda: ResNet(beside=[(n, dict(fc1=f"cbam{n}.ca.fc.0", fc2=f"cbam{n}.ca.fc.2", conv=f"cbam{n}.sa.conv")) for n in range(1, 5)]),
    "small pictures": lambda: ResNet(dict(CA_SA), stem=(3, 1), pool=False, head="linear", shortcut="shortcut"),
    "no pooling": lambda: ResNet(pool=False),
    "grey": lambda: ResNet(channels=1),
    "pytorchcv seresnet50": lambda: pytorchcv("seresnet", "seresnet50"),
    "pytorchcv resnet50b": lambda: pytorchcv("resnet", "resnet50b"),
    "timm efficientnet_lite0": lambda: timm.create_model("efficientnet_lite0", num_classes=CLASSES),
    "head beside": lambda: backbone_and(
        lambda m, x: m.fc2(F.relu(m.bn2(m.fc1(m.bn1(x))))), bn1=nn.BatchNorm1d(512), fc1=nn.Linear(512, 40), bn2=nn.BatchNorm1d(40),
        fc2=nn.Linear(40, CLASSES)),
    "head unordered": lambda: backbone_and(
        lambda m, x: m.head.cls(F.relu(m.head.bn(m.head.hidden(x)))), head__cls=nn.Linear(40, CLASSES), head__bn=nn.BatchNorm1d(40),
        head__hidden=nn.Linear(512, 40)),
    "head predictor": lambda: backbone_and(lambda m, x: m.predictor(x), predictor=nn.Linear(512, CLASSES)),
    "se then spatial": lambda: ResNet(dict(fc1="se.fc1", fc2="se.fc2", conv="sa.conv", pools="mean", bias=True)),
    "se called channel": lambda: ResNet(dict(fc1="channel_se.fc1", fc2="channel_se.fc2", pools="mean")),
    "last and first": lambda: ResNet(beside=[("stem", named(after="1")), (4, named())]),
    "stem and last": lambda: ResNet(beside=[("stem", named(after="_stem")), (4, named(after="_last"))]),
    "a dictionary of stages": lambda: ResNet(beside=[(1, named("attentions.layer1.")), (3, named("attentions.layer3."))]),
    "stages wrapped": stages_wrapped,
    "vgg two layers": lambda: vgg(nn.Linear(25088, 40), nn.ReLU(), nn.Dropout(), nn.Linear(40, CLASSES)),
    "timm legacy_seresnet50": lambda: timm.create_model("legacy_seresnet50", num_classes=CLASSES),
    "timm tf_efficientnet_lite0": lambda: timm.create_model("tf_efficientnet_lite0", num_classes=CLASSES),
}


def lines(state):
    norms = {key.removesuffix(".running_mean") for key in state if key.endswith(".running_mean")}
    seen = set()
    for key, value in state.items():
        module = key.rsplit(".", 1)[0]
        if module not in norms:
            yield " ".join([key, *map(str, value.shape)])
        elif module not in seen:
            seen.add(module)
            yield f"~ {module} {value.shape[0]}"


def main():
    from safetensors.torch import save_file

    text, answers = "", {}
    for name, make in NETWORKS.items():
        network = make().eval()
        state = network.state_dict()
        for key, tensor in state.items():
            if tensor.is_floating_point():
                fill(key, tensor)
        picture = (unit("picture", 3 * 75 * 109) * 4 - 2).reshape(1, 3, 75, 109)
        if name == "grey":
            picture = picture[:, :1]
        Gate.found = []
        for module in network.modules():
            if name.startswith(("pytorchcv se", "timm legacy")) and isinstance(module, nn.Sigmoid):
                module.register_forward_hook(lambda _, __, out: Gate.found.append(out[0].squeeze()))
        with torch.no_grad():
            answers[f"{name}|logits"] = network(picture)[0].contiguous()
        for number, gate in enumerate(Gate.found):
            answers[f"{name}|{number:02}"] = gate.flatten()[::7][:16].contiguous().clone()
        text += f"= {name}\n" + "".join(line + "\n" for line in lines(state))
        print(name, len(Gate.found), answers[f"{name}|logits"][:3])
    (here / "answers.txt").write_text(text)
    save_file({key: value for key, value in answers.items() if value.numel()}, here / "answers.safetensors")


main()
