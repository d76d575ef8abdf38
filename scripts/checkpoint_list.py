"""The networks that check_checkpoints.py compares with PyTorch, and what must be said of each.

An item's answer must be PyTorch's, unless
    told      part of an assumption that explains another answer: then that must be printed
    decided   with `told`: the options with which the answer is PyTorch's; an item of its own
    refused   part of the message with which it is refused
"""

import types

import torch
import torch.nn.functional as F
from torch import nn

from checkpoint_blocks import (
    CLASSES, EcaOfAuthors, Gate, Headed, OfficialBam, Pair, ResNet, Spatial, changed,
)

SIZE = (96, 64)  # of the photo, wide and high: what the network sees, nothing is resampled
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LITE = ((127 / 255,) * 3, (128 / 255,) * 3)


# The names inside a block, as public repositories have them: gates by name, from the channels.
def separate(channel, spatial, order="mean,max", inner=None, names=("fc1", "fc2"), conv="conv1", **more):
    kind = {key: more.pop(key) for key in ("linear", "bias", "pools") if key in more}
    return {channel: lambda c: Gate(c, names, inner=inner, **kind), spatial: lambda c: Spatial(conv, order, **more)}


def together(name, channel, spatial, order="mean,max", inner=None, names=("fc1", "fc2"), conv="conv1", way="channel first", **more):
    kind = {key: more.pop(key) for key in ("linear", "bias", "pools") if key in more}
    make = lambda c: Pair(c, (channel, spatial), lambda c: Gate(c, names, inner=inner, **kind), lambda c: Spatial(conv, order, **more), way)
    return {name: make}


def official(name="cbam", order="max,mean"):
    return together(name, "ChannelGate", "SpatialGate", order, ("mlp", 1), conv="spatial.conv", norm="bn", linear=True, bias=True)


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


def beside_backbone(*outside, **more):
    """Everything under `backbone.` but what begins so; and other tensors."""
    return lambda model, tensors: {
        **{name if name.startswith(outside) else "backbone." + name: tensor for name, tensor in tensors.items()}, **more}


def network(name, make, save=plain, options=(), mean_std=IMAGENET, told=None, decided=None, refused=None, size=SIZE):
    """One item, or two if options decide what is taken for granted in it."""
    item = types.SimpleNamespace(
        name=name, make=make, save=save, options=list(options), mean_std=mean_std, told=told, refused=refused, size=size)
    if not decided:
        return [item]
    other = {"name": f"{name}, {' '.join(decided)}", "options": item.options + list(decided), "told": None}
    return [item, types.SimpleNamespace(**{**vars(item), **other})]


class SeThenSpatial(nn.Module):
    """Squeeze-and-excitation before a spatial gate."""

    def __init__(self, channels):
        super().__init__()
        self.se, self.sa = Gate(channels, inner=("fc", 0), linear=True, pools=("mean",)), Spatial("conv1")

    def forward(self, x):
        return self.sa(self.se(x))


def vgg(name, classifier):
    def make():
        model = torchvision_(name)()
        model.classifier = classifier()
        return model
    return make


def fc(*before):
    """A ResNet whose classifier is a linear layer behind others, each made for its features."""
    def make():
        model = own()()
        model.fc = nn.Sequential(*(layer(512) if layer is not nn.Dropout else nn.Dropout() for layer in before), nn.Linear(512, CLASSES))
        return model
    return make


def normalising(mean, std):
    return {"mean": torch.tensor(mean).view(1, 3, 1, 1), "std": torch.tensor(std).view(1, 3, 1, 1)}


class NoClasses(nn.Module):
    """What stands for a classifier that is not there."""

    def forward(self, x):
        return None


def leaky(module):
    if hasattr(module, "relu"):
        module.relu = nn.LeakyReLU(0.3)


def first_stride(module):
    if isinstance(module, nn.Conv2d) and module.in_channels == 3:
        module.stride = (1, 1)


def epsilon(module):
    if isinstance(module, nn.BatchNorm2d):
        module.eps = 0.05


POOL = ("--stem-pool none", ("--stem-pool", "none"))
ORDER = ("--pool-order max-mean", ("--pool-order", "max-mean"))
STRIDE = ("--stride-in 1x1", ("--stride-in", "1x1"))
MLP = {"fc1": (512, 64), "fc2": (64, CLASSES)}


def linear(**shapes):
    return {name: nn.Linear(*shape) for name, shape in shapes.items()}


LIST = [item for items in [
    *(network(f"torchvision {name}", torchvision_(name)) for name in
      ("resnet18", "resnet34", "resnet50", "resnet101", "wide_resnet50_2", "resnext50_32x4d", "vgg11", "vgg16_bn", "mobilenet_v2")),
    *(network(f"timm {name}", timm_(name)) for name in ("resnet18", "resnet50")),
    network("timm vgg13", timm_("vgg13"), refused="does not fit the 25088 pooled features"),  # its classifier slides over larger pictures
    *(network(f"timm {name} {layer}", timm_(name, block_args={"attn_layer": layer})) for name, layer in
      (("resnet18", "cbam"), ("resnet50", "cbam"), ("resnet18", "se"), ("resnet18", "eca"), ("resnet50", "eca"))),
    network("timm resnet34 lcbam", timm_("resnet34", block_args={"attn_layer": "lcbam"}), refused="light CBAM"),
    network("timm seresnet50", timm_("seresnet50")),
    *(network(f"timm {name}", timm_(name), refused=said) for name, said in
      (("ecaresnet50t", "several convolutions"), ("legacy_senet154", "not four stages"))),
    *(network(f"timm {name}", timm_(name)) for name in
      ("legacy_seresnet50", "legacy_seresnet101", "legacy_seresnext50_32x4d")),
    *(network(f"timm {name}", timm_(name), refused="a ReLU before their gates") for name in ("legacy_seresnet18", "legacy_seresnet34")),
    network("timm tf_efficientnet_lite0", timm_("tf_efficientnet_lite0"), mean_std=LITE),
    network("timm efficientnet_lite0", timm_("efficientnet_lite0"), mean_std=LITE, told="--padding symmetric"),
    network("timm efficientnet_lite0, --padding symmetric", timm_("efficientnet_lite0"), options=("--padding", "symmetric")),
    *(network(f"pytorchcv {name}", pytorchcv_(name)) for name in
      ("resnet18", "seresnet18", "cbam_resnet18", "cbam_resnet50", "bam_resnet18", "bam_resnet50", "resnext50_32x4d")),
    network("pytorchcv mobilenetv2_w1", pytorchcv_("mobilenetv2_w1"), refused="no network that is known here"),
    *(network(f"pytorchcv {name}", pytorchcv_(name), refused=f"--stride-in {said} {name}") for name, said in
      (("resnet50", "1x1 reads it as"), ("resnet101", "1x1 reads it as"), ("seresnet50", "1x1 reads it as"),
       ("resnet50b", "3x3 as"), ("seresnet50b", "3x3 as"))),
    *(network(f"pytorchcv {name}, --stride-in {kind}", pytorchcv_(name), options=["--stride-in", kind]) for name, kind in
      (("resnet50", "1x1"), ("seresnet50", "1x1"), ("resnet50b", "3x3"), ("seresnet50b", "3x3"))),
    # CBAM blocks in the names of public repositories.
    network("official names", own(gates=official())),
    network("official names, R50", own(*R50, gates=official())),
    network("official names as att", own(gates=official("att"))),
    network("official BAM", own(stages={"bam{}": OfficialBam})),
    network("ca.fc1 sa.conv1", own(gates=separate("ca", "sa"))),
    network("ca.fc.0 sa.conv1, R50", own(*R50, gates=separate("ca", "sa", inner=("fc", 0)))),
    network("ca.fc.0 sa.conv1 biased", own(gates=separate("ca", "sa", inner=("fc", 0)) | {"sa": lambda c: Spatial("conv1", bias=True)})),
    network("channel_attention.fc.0 spatial_attention.conv",
            own(gates=together("cbam", "channel_attention", "spatial_attention", inner=("fc", 0), conv="conv"))),
    network("channel_attention.mlp.0", own(gates=separate("channel_attention", "spatial_attention", inner=("mlp", 0), conv="conv"))),
    network("ca.mlp.0 sa.conv", own(gates=separate("ca", "sa", inner=("mlp", 0), conv="conv"))),
    network("channel_attention spatial_attention.conv1", own(gates=separate("channel_attention", "spatial_attention"))),
    network("attention1 attention2", own(gates=separate("attention1", "attention2", inner=("fc", 0), conv="conv"))),
    network("cbam.shared_MLP, k = 3",
            own(gates=together("cbam", "channel", "spatial", inner=("shared_MLP", 0), conv="conv", kernel=3))),
    network("linear, bias, BatchNorm, mean first",
            own(gates=together("cbam", "ca", "sa", inner=("mlp", 1), conv="conv", norm="bn", linear=True, bias=True))),
    network("spatial alone", own(gates={"sa": lambda c: Spatial("conv1")})),
    network("se.fc.0 (authors')", own(gates={"se": lambda c: Gate(c, inner=("fc", 0), linear=True, pools=("mean",))})),
    network("channel_se.fc1", own(gates={"channel_se": lambda c: Gate(c, pools=("mean",))})),
    network("eca.conv (authors')", own(gates={"eca": EcaOfAuthors})),
    network("se.fc.0, then sa.conv1", own(gates={"att": SeThenSpatial})),
    network("se.fc1 and sa.conv, mean first", own(gates={
        "se": lambda c: Gate(c, pools=("mean",), bias=True), "sa": lambda c: Spatial("conv")})),
    # Places.
    network("ca, sa after the stem; ca1, sa1 at the end",
            own(stem=separate("ca", "sa", inner=("fc", 0)), end=separate("ca1", "sa1", inner=("fc", 0)))),
    network("ca1, sa1 after the stem; ca, sa at the end",
            own(stem=separate("ca1", "sa1", inner=("fc", 0)), end=separate("ca", "sa", inner=("fc", 0)))),
    network("ca_stem, sa_stem; ca_last, sa_last", own(stem=separate("ca_stem", "sa_stem"), end=separate("ca_last", "sa_last"))),
    network("cbam_first, cbam_last", own(stem=together("cbam_first", "ca", "sa"), end=together("cbam_last", "ca", "sa"))),
    network("cbam1 … cbam4 after the stages", own(stages=together("cbam{}", "ca", "sa", inner=("fc", 0)))),
    network("cbam near the head, R50", own(*R50, end=together("cbam", "ca", "sa", inner=("fc", 0)))),
    network("stages wrapped with CBAM", own(wrapped=together("cbam", "ca", "sa")["cbam"])),
    # Around the network.
    network("prefix net.", own(gates=separate("ca", "sa")), prefixed("net.")),
    network("prefix module.encoder_q.", own(), prefixed("module.encoder_q.")),
    network("backbone. and head.fc", own(head="head.fc"), beside_backbone("head.")),
    network("Lightning, a loss's buffer", own(), prefixed("model.", **{"criterion.pos_weight": torch.ones(3)})),
    network("averaged (SWA)", own(gates=official()), averaged),
    network("a training script's dictionary", own(gates=official()), training),
    network("student and teacher, --part", own(), two_parts, options=["--part", "student"]),
    network("student and teacher", own(), two_parts, refused="--part"),
    network("head: Sequential(Dropout, Linear)", own(head="dropout")),
    network("head: MLP", own(head="mlp")),
    network("head: MLP with BatchNorm", own(head="norm")),
    network("head: classifier, no bias", own(head="classifier")),
    network("head: last_linear", own(gates=separate("ca", "sa"), head="last_linear")),
    network("head: none", own(head=None)),
    network("head beside: fc1, fc2", lambda: Headed(linear(**MLP), lambda m, x: m.fc2(F.relu(m.fc1(x))))),
    network("head beside: fc1, bn1, fc2", lambda: Headed(
        linear(**MLP) | {"bn1": nn.BatchNorm1d(64)}, lambda m, x: m.fc2(F.relu(m.bn1(m.fc1(x)))))),
    network("head beside: bn1, fc1, bn2, fc2", lambda: Headed(
        linear(**MLP) | {"bn1": nn.BatchNorm1d(512), "bn2": nn.BatchNorm1d(64)},
        lambda m, x: m.fc2(F.relu(m.bn2(m.fc1(m.bn1(x))))))),
    network("head beside: fc1, ReLU, bn1, fc2", lambda: Headed(
        linear(**MLP) | {"bn1": nn.BatchNorm1d(64)}, lambda m, x: m.fc2(m.bn1(F.relu(m.fc1(x))))), told="behind its BatchNorm"),
    network("head beside: bn1 in two places", lambda: Headed(
        linear(fc1=(512, 512), fc2=(512, CLASSES)) | {"bn1": nn.BatchNorm1d(512)},
        lambda m, x: m.fc2(F.relu(m.bn1(m.fc1(x))))), refused="fits in 2 places"),
    network("head beside: BatchNorm before fc", lambda: Headed(
        linear(fc=(512, CLASSES)) | {"neck": nn.BatchNorm1d(512)}, lambda m, x: m.fc(m.neck(x))), refused="may stand before"),
    network("head beside: LayerNorm before fc", lambda: Headed(
        linear(fc=(512, CLASSES)) | {"norm": nn.LayerNorm(512)}, lambda m, x: m.fc(m.norm(x))), refused="norm.weight"),
    network("head beside: predictor", lambda: Headed(linear(predictor=(512, CLASSES)), lambda m, x: m.predictor(x))),
    *(network(f"beside a network: {name} {list(tensor.shape)}", own(), beside_backbone("fc.", **{name: tensor}), refused=name)
      for name, tensor in (("pool.p", torch.full((1,), 3.0)), ("lstm.weight_ih_l0", torch.ones(2048, 512)), ("scale", torch.ones(1)),
                           ("act.weight", torch.ones(1)), ("pre.weight", torch.ones(3, 3, 1, 1)), ("offset", torch.ones(3)))),
    *(network(f"beside a network: {name} {list(tensor.shape)}", own(), beside_backbone("fc.", **{name: tensor}))
      for name, tensor in (("queue", torch.ones(128, 512)), ("loss.weight", torch.ones(CLASSES)), ("step", torch.tensor(7)))),
    network("beside a network: ImageNet's mean and std", own(), beside_backbone("fc.", **normalising(*IMAGENET))),
    network("beside a network: another mean and std", own(), beside_backbone("fc.", **normalising((0.5,) * 3, (0.5,) * 3)),
            refused="normalised in the network: mean, std"),
    network("head: BatchNorm, Dropout, Linear", fc(nn.BatchNorm1d, nn.Dropout)),
    network("head: BatchNorm, ReLU, Linear", fc(nn.BatchNorm1d, lambda _: nn.ReLU()), told="nothing but dropout between"),
    network("head beside: fc, predictor", lambda: Headed(
        linear(fc=(512, 32), predictor=(32, CLASSES)), lambda m, x: m.predictor(m.fc(x))), refused="may stand behind the classifier of 32"),
    network("head beside: feat_proj, head", lambda: Headed(
        linear(feat_proj=(512, 512), head=(512, CLASSES)), lambda m, x: m.head(m.feat_proj(x))), refused="feat_proj"),
    network("stem of one channel", own(channels=1)),
    network("vgg16 without its classifier", vgg("vgg16", NoClasses)),
    network("vgg11, classifier of four layers", vgg("vgg11", lambda: nn.Sequential(
        nn.Linear(25088, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Sequential(
            nn.Linear(4096, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, CLASSES))))),
    *(network(f"vgg11, {name} in its classifier", vgg("vgg11", lambda layer=layer: nn.Sequential(
        nn.Linear(25088, 4096), layer(4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), layer(4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, CLASSES))), refused=said) for name, layer, said in
      (("BatchNorm", nn.BatchNorm1d, None), ("PReLU", nn.PReLU, "classifier.1.weight"))),
    network("vgg11, classifier of two layers", vgg("vgg11", lambda: nn.Sequential(
        nn.Linear(25088, 128), nn.ReLU(), nn.Dropout(), nn.Linear(128, CLASSES)))),
    # What names and shapes cannot tell.
    network("3×3 stem, no max-pool (CIFAR)", own(first=3, pool=False)),
    network("max-pool left out, CBAM", own(gates=separate("ca", "sa"), pool=False), told=POOL[0], decided=POOL[1]),
    network("ca.fc.0 sa.conv1, max first", own(gates=separate("ca", "sa", "max,mean", inner=("fc", 0))), told=ORDER[0], decided=ORDER[1]),
    network("official names, mean first", own(gates=official(order="mean,max")), told="--pool-order mean-max",
            decided=("--pool-order", "mean-max")),
    network("se.fc1 and sa.conv, max first", own(gates={
        "se": lambda c: Gate(c, pools=("mean",), bias=True), "sa": lambda c: Spatial("conv", "max,mean")}), told=ORDER[0], decided=ORDER[1]),
    network("plain R50, stride in 1×1", own(*R50, stride_in=1), told=STRIDE[0], decided=STRIDE[1]),
    network("CBAM R50, stride in 1×1", own(*R50, gates=separate("ca", "sa"), stride_in=1), told=STRIDE[0], decided=STRIDE[1]),
    network("se.fc1 R50, stride in 1×1", own(*R50, gates={"se": lambda c: Gate(c, pools=("mean",), bias=True)}, stride_in=1),
            told=STRIDE[0], decided=STRIDE[1]),
    network("channel gate alone, mean and max", own(gates={"att": lambda c: Gate(c, inner=("fc", 0))}), told="pools the mean alone"),
    network("se named, mean and max, then spatial", own(gates=separate("se", "sa")), told="pools the mean alone"),
    network("CBAM of the mean alone", own(gates=separate("ca", "sa", pools=("mean",))), told="pools mean and maximum"),
    network("spatial gate before the channel's", own(gates=together("cbam", "ca", "sa", way="spatial first")),
            told="stands before the spatial gate"),
    network("gates side by side", own(gates=together("cbam", "ca", "sa", way="side by side")), told="stands before the spatial gate"),
    network("--arch over CBAM", own(gates=separate("ca", "sa")), options=["--arch", "resnet18"]),
    network("att1 … att4 after the stages", own(stages=together("att{}", "ca", "sa"))),
    network("gates behind the addition", own(gates=separate("ca", "sa"), late=True), told="gates before the addition"),
    network("pooled shortcuts (ResNet-D)", own(pooled_shortcut=True), refused="average pooling?"),
    network("pooled shortcuts, CBAM R50", own(*R50, gates=separate("ca", "sa"), pooled_shortcut=True), refused="average pooling?"),
    *(network(f"timm {name}", timm_(name), told="halve by a strided convolution") for name in ("resnetblur18", "resnetblur50", "resnetaa50")),
    network("timm resnet18 ceca", timm_("resnet18", block_args={"attn_layer": "ceca"}), told="pads the channels with zeros"),
    network("timm resnet50, output_stride 16", timm_("resnet50", output_stride=16), told="stages that halve"),
    network("torchvision resnet50, dilated", torchvision_("resnet50", replace_stride_with_dilation=[False, True, True]),
            told="stages that halve"),
    network("last stage without stride", own(last_stride=1), told="stages that halve"),
    network("mobilenet_v2 of stride 1", changed(torchvision_("mobilenet_v2"), first_stride), told="first convolution of stride 2"),
    network("resnet18 of LeakyReLU", changed(torchvision_("resnet18"), leaky), told="ReLU"),
    network("resnet18, BatchNorm's ε 0.05", changed(torchvision_("resnet18"), epsilon), told="all else as torchvision's resnet18"),
] for item in items]
