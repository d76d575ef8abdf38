"""The networks of any_network.py: name → a function that builds it, and its height and width in pixels.

Of timm two for each of its modules, the smallest and one drawn by chance (of at most 60 million numbers); torchvision's; pytorchcv's by
family; and CBAM in the places in which public repositories have it. Some of these and small ones beside them go to ONNX.
"""

import random

import any_network_more
import pytorchcv.model_provider
import timm
import torch
import torchvision
from torch import nn

MOST = 60_000_000
# The opset from which on ONNX is written of torch.export's program, and no more of TorchScript.
DYNAMO = 18
CV = """alexnet bam_resnet18 bagnet9 bninception bisenet_resnet18_celebamaskhq cbam_resnet18 condensenet74_c4_g4 darknet53 densenet121
diracnet18v2 dla34 dpn68 drnc26 efficientnet_b0 espnetv2_wd2 fbnet_cb fishnet99 ghostnet hardnet39ds hrnet_w18_small_v1 ibn_resnet50
igcv3_w1 inceptionv3 irevnet301 lwopenpose2d_mobilenet_cmupan_coco mixnet_s mnasnet_small mobilenet_w1 mobilenetv2_w1 mobilenetv3_small_w1
nasnet_4a1056 octresnet10_ad2 peleenet pnasnet5large polynet preresnet18 proxylessnas_cpu regnetx002 resnet18 resnet50
resnesta18 resnext26_32x4d rir_cifar10 selecsls42 senet28 sepreresnet18 seresnet18 shufflenet_g1_w1 shufflenetv2_wd2 sinet_cityscapes
sknet50 spnasnet sqnxt23_w1 squeezenet_v1_0 vgg11 vovnet27s wrn50_2 xception zfnet airnet50_1x64d_r2 bn_vgg11 scnet50""".split()
VISION = """alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5 mobilenet_v2
mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnet50 resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_0 squeezenet1_1 swin_t
swin_v2_t vgg11 vgg11_bn vit_b_16 vit_b_32 wide_resnet50_2""".split()
SEGMENT = ["deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large", "fcn_resnet50", "lraspp_mobilenet_v3_large"]

# By opset.
ONNX = {
    11: """own/blocks own/blocks-linear own/coordinate own/u-net own/neck own/bam torchvision/resnet18 torchvision/mobilenet_v3_small
    torchvision/shufflenet_v2_x0_5 torchvision/squeezenet1_1 pytorchcv/cbam_resnet18 pytorchcv/seresnet18 timm/vit_tiny_patch16_224
    timm/tf_mobilenetv3_small_075 timm/ecaresnet26t timm/mixer_s32_224 timm/repvgg_a0""",
    13: """own/blocks-hard own/after-stages own/swish own/neck torchvision/mobilenet_v2 torchvision/densenet121 torchvision/efficientnet_b0
    torchvision/lraspp_mobilenet_v3_large pytorchcv/bam_resnet18 pytorchcv/shufflenetv2_wd2 pytorchcv/ghostnet timm/deit_tiny_patch16_224
    timm/seresnext26ts timm/mobilevit_xxs timm/convnext_atto timm/levit_128s timm/xcit_nano_12_p16_224 timm/lcnet_035
    timm/eva02_tiny_patch14_224""",
    17: """own/blocks own/blocks-bias own/repeat own/after-stem own/before-head own/coordinate own/bam own/spatial-alone own/u-net own/neck
    own/swish torchvision/resnet50 torchvision/convnext_tiny torchvision/vit_b_32 torchvision/mnasnet0_5 torchvision/googlenet
    pytorchcv/cbam_resnet18 pytorchcv/sqnxt23_w1 pytorchcv/octresnet10_ad2 timm/vit_tiny_patch16_224
    timm/vit_pwee_patch16_reg1_gap_256 timm/crossvit_tiny_240 timm/convnextv2_atto timm/resnest14d timm/skresnet18 timm/gcresnext26ts
    timm/mobilevitv2_050 timm/edgenext_xx_small timm/mobilenetv4_conv_small_050 timm/tf_efficientnet_lite0 timm/focalnet_tiny_srf
    timm/swin_tiny_patch4_window7_224 pytorchcv/mixnet_s""",
    18: """own/blocks own/blocks-linear own/blocks-hard own/repeat own/after-stages own/coordinate own/u-net own/neck own/swish
    torchvision/resnet18 torchvision/mobilenet_v3_small torchvision/efficientnet_b0 torchvision/regnet_y_400mf torchvision/vit_b_32
    pytorchcv/cbam_resnet18 pytorchcv/seresnet18 timm/vit_tiny_patch16_224 timm/deit_tiny_distilled_patch16_224 timm/poolformer_s12
    timm/efficientvit_b0 timm/cait_xxs24_224 timm/hgnetv2_b0 timm/ghostnet_050""",
    21: """own/blocks own/blocks-bias own/before-head own/bam own/spatial-alone own/coordinate own/u-net torchvision/mobilenet_v2
    torchvision/shufflenet_v2_x0_5 torchvision/densenet121 torchvision/convnext_tiny pytorchcv/bam_resnet18 pytorchcv/mobilenetv3_small_w1
    timm/test_vit2 timm/vit_wee_patch16_reg1_gap_256 timm/pvt_v2_b0 timm/test_nfnet timm/ecaresnet26t timm/rexnet_100
    timm/starnet_s1 timm/fastvit_t8 timm/visformer_tiny""",
}


class ChannelGate(nn.Module):
    """A shared perceptron over the mean and the maximum of each channel."""

    def __init__(self, channels, style):
        super().__init__()
        hidden = max(channels // 8, 4)
        self.style, self.avg, self.max = style, nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)
        if style == "linear":
            self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        else:
            self.mlp = nn.Sequential(nn.Conv2d(channels, hidden, 1, bias=False), nn.ReLU(inplace=True),
                                     nn.Conv2d(hidden, channels, 1, bias=False))
        self.sigmoid = nn.Sigmoid()

    def forward(self, x):
        total = self.mlp(self.avg(x)) + self.mlp(self.max(x))
        if self.style == "linear":
            return x * torch.sigmoid(total).unsqueeze(2).unsqueeze(3).expand_as(x)
        if self.style == "hard":
            return x * (nn.functional.relu6(total + 3) / 6)
        return x * self.sigmoid(total)


class Largest(nn.Module):
    """AdaptiveMaxPool2d(1), as torch.export writes it to ONNX."""

    def forward(self, x):
        return x.amax((2, 3), keepdim=True)


class SpatialGate(nn.Module):
    """A convolution over the mean and the maximum over the channels."""

    def __init__(self, kernel=7, style="conv"):
        super().__init__()
        self.style = style
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=style == "bias")
        self.bn = nn.BatchNorm2d(1) if style == "linear" else nn.Identity()

    def forward(self, x):
        pools = [torch.max(x, 1, keepdim=True)[0], torch.mean(x, 1, keepdim=True)]
        logits = self.bn(self.conv(torch.cat(pools if self.style == "linear" else pools[::-1], 1)))
        if self.style == "repeat":
            return x * torch.sigmoid(logits.repeat(1, x.shape[1], 1, 1))
        return x * torch.sigmoid(logits)


class Cbam(nn.Module):
    def __init__(self, channels, style="conv"):
        super().__init__()
        self.ca, self.sa = ChannelGate(channels, style), SpatialGate(style=style)

    def forward(self, x):
        return self.sa(self.ca(x))


class CoordinateAttention(nn.Module):
    """Gates of rows and of columns (Hou et al. 2021)."""

    def __init__(self, channels):
        super().__init__()
        hidden = max(8, channels // 16)
        self.conv1, self.bn1, self.act = nn.Conv2d(channels, hidden, 1), nn.BatchNorm2d(hidden), nn.Hardswish()
        self.conv_h, self.conv_w = nn.Conv2d(hidden, channels, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        _, _, h, w = x.size()
        rows, columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True).permute(0, 1, 3, 2)
        y = self.act(self.bn1(self.conv1(torch.cat([rows, columns], 2))))
        rows, columns = torch.split(y, [h, w], 2)
        return x * self.conv_w(columns.permute(0, 1, 3, 2)).sigmoid() * self.conv_h(rows).sigmoid()


class Bam(nn.Module):
    """x · (1 + σ(channel × spatial)): a gate of every channel and position."""

    def __init__(self, channels):
        super().__init__()
        self.channel = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 8, 1), nn.ReLU(), nn.Conv2d(8, channels, 1))
        self.spatial = nn.Sequential(nn.Conv2d(channels, 8, 1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=4, dilation=4))

    def forward(self, x):
        return x * (1 + torch.sigmoid(self.channel(x) * self.spatial(x)))


class Conv(nn.Sequential):
    def __init__(self, a, b, stride=1, act=nn.ReLU):
        super().__init__(nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), act(inplace=True))


class Own(nn.Module):
    """A small CNN with attention where `place` says."""

    def __init__(self, place, make=Cbam, act=nn.ReLU, width=16):
        super().__init__()
        widths = dict(zip(["stem", "layer1", "layer2", "layer3", "layer4"], [width, 2 * width, 4 * width, 4 * width, 6 * width]))
        before = 3
        for name, channels in widths.items():
            setattr(self, name, Conv(before, channels, 2, act))
            before = channels
        self.places = place
        self.attention = nn.ModuleDict({at: make(widths[at]) for at in place})
        self.fc = nn.Linear(before, 10)

    def forward(self, x):
        for name in ["stem", "layer1", "layer2", "layer3", "layer4"]:
            x = getattr(self, name)(x)
            if name in self.places:
                x = self.attention[name](x)
        return self.fc(x.mean((2, 3)))


class ResidualBlock(nn.Module):
    """CBAM before the addition, with ReLU in place."""

    def __init__(self, a, b, stride, style):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b)
        self.conv2, self.bn2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
        self.cbam, self.relu = Cbam(b, style), nn.ReLU(inplace=True)
        self.down = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b)) if stride > 1 or a != b else None

    def forward(self, x):
        out = self.cbam(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
        out += x if self.down is None else self.down(x)
        return self.relu(out)


class ResNetCbam(nn.Module):
    def __init__(self, style, width=16):
        super().__init__()
        w = width
        self.stem = Conv(3, w, 2)
        self.layer1, self.layer2 = ResidualBlock(w, w, 1, style), ResidualBlock(w, 2 * w, 2, style)
        self.layer3, self.layer4 = ResidualBlock(2 * w, 4 * w, 2, style), ResidualBlock(4 * w, 4 * w, 2, style)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(4 * w, 10)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class UNet(nn.Module):
    """CBAM on the skips of a segmenter."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.mid = Conv(3, 16), Conv(16, 32, 2), Conv(32, 64, 2)
        self.skip1, self.skip2 = Cbam(16), Cbam(32)
        self.up2, self.up1, self.head = Conv(96, 32), Conv(48, 16), nn.Conv2d(16, 4, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(a)
        y = nn.functional.interpolate(self.mid(b), scale_factor=2, mode="bilinear", align_corners=True)
        y = self.up2(torch.cat([y, self.skip2(b)], 1))
        y = nn.functional.interpolate(y, size=a.shape[2:], mode="nearest")
        return self.head(self.up1(torch.cat([y, self.skip1(a)], 1)))


class Neck(nn.Module):
    """A detector's neck: SiLU beside gates, and several outputs."""

    def __init__(self, width=64):
        super().__init__()
        w = width
        self.stem = nn.Sequential(Conv(3, w // 4, 2, nn.SiLU), Conv(w // 4, w // 2, 2, nn.SiLU), Conv(w // 2, w, 2, nn.SiLU))
        self.p4, self.p5 = Conv(w, w, 2, nn.SiLU), Conv(w, w, 2, nn.SiLU)
        self.cbam4, self.cbam5 = Cbam(w), Cbam(w)
        self.out4, self.out5 = nn.Conv2d(w, 18, 1), nn.Conv2d(w, 18, 1)

    def forward(self, x):
        p4 = self.p4(self.stem(x))
        p5 = self.cbam5(self.p5(p4))
        p4 = self.cbam4(p4 + nn.functional.interpolate(p5, scale_factor=2))
        return self.out4(p4), self.out5(p5)


class Swish(nn.Module):
    """x·σ(x), written out, beside squeeze-and-excitation."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(3, 32, 3, 4, 1), nn.Conv2d(32, 64, 3, 4, 1), nn.Linear(64, 10)
        self.se = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(64, 8, 1), nn.SiLU(), nn.Conv2d(8, 64, 1), nn.Sigmoid())

    def forward(self, x):
        x = self.conv1(x)
        x = x * torch.sigmoid(x)
        x = self.conv2(x)
        x = x.mul(x.sigmoid())
        return self.fc((x * self.se(x)).mean([2, 3]))


OWN = {
    "blocks": lambda: ResNetCbam("conv"), "blocks-linear": lambda: ResNetCbam("linear"), "blocks-hard": lambda: ResNetCbam("hard"),
    "blocks-bias": lambda: ResNetCbam("bias"), "repeat": lambda: Own(["layer2"], lambda c: Cbam(c, "repeat")),
    "after-stages": lambda: Own(["layer1", "layer2", "layer3", "layer4"]), "after-stem": lambda: Own(["stem"]),
    "before-head": lambda: Own(["layer4"], act=nn.SiLU), "coordinate": lambda: Own(["layer2", "layer4"], CoordinateAttention),
    "bam": lambda: Own(["layer2"], Bam), "spatial-alone": lambda: Own(["layer3"], lambda _: SpatialGate()), "u-net": UNet, "neck": Neck, "swish": Swish,
}


def draw_timm():
    """Two of each module: the smallest, and one by chance; any_network_timm.txt holds what this drew with timm 1.0.31."""
    draw, names = random.Random(0), []
    for module in sorted(timm.list_modules()):
        sizes = {}
        for name in timm.list_models(module=module):
            try:
                with torch.device("meta"):
                    sizes[name] = sum(p.numel() for p in timm.create_model(name).parameters())
            except Exception:  # some want numbers while they are built
                continue
        fit = sorted((size, name) for name, size in sizes.items() if size <= MOST)
        if fit:
            names.append(fit[0][1])
            names += [draw.choice(fit[1:])[1]] if len(fit) > 1 else []
    return list(dict.fromkeys(names))


def build(name, opset=None):
    """A network, in operations that ONNX of an opset has; and its height and width in pixels."""
    timm.layers.set_fused_attn(opset is None or opset >= 14)
    model, size = built(*name.split("/", 1))
    for module in list(model.modules()) if opset and opset >= DYNAMO else []:
        for child, of in module.named_children():
            if isinstance(of, nn.AdaptiveMaxPool2d):
                setattr(module, child, Largest())
    return model, size


def built(library, name):
    if library == "own":
        return OWN[name](), (224, 224)
    if library == "timm":
        model = timm.create_model(name)
        return model, tuple(model.default_cfg["input_size"][1:])
    if library == "torchvision":
        weights = {"weights": None, **({"weights_backbone": None} if name in SEGMENT else {})}
        if name in ("googlenet", "inception_v3"):
            weights["init_weights"] = False
        of = torchvision.models.segmentation if name in SEGMENT else torchvision.models
        return getattr(of, name)(**weights), (299, 299) if name == "inception_v3" else (224, 224)
    if library != "pytorchcv":
        return any_network_more.build(library, name)
    model = pytorchcv.model_provider.get_model(name)
    return model, tuple(getattr(model, "in_size", (224, 224)))
