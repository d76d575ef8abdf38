#!/usr/bin/env python3
"""The crate's default network in plain PyTorch, with the crate's own weights, and its export to ONNX.

usage: model.py export OUT.onnx [--height 224] [--width 224]
       model.py check WORKER IMAGE

EfficientNet-Lite0 with CBAM and patch self-attention where the attention file's configuration puts them, written as one would
write it by hand. It returns the logits and every attention map, by the crate's names. `check` runs WORKER (the crate's
bench worker) on IMAGE, runs this network on the very same input, and compares everything that both return.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import nn

WEIGHTS = Path(__file__).parents[2] / "assets" / "weights"
BACKBONE = WEIGHTS / "efficientnet-lite0.safetensors"
ATTENTION = WEIGHTS / "efficientnet-lite0-attention.safetensors"
TOLERANCE = 1e-3

# Repeats, kernel, stride, expansion, channels of each stage.
STAGES = [
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
STEM, HEAD = 32, 1280


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: where it is odd, the extra pixel goes right and below."""

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, x):
        kernel, stride = self.kernel_size[0], self.stride[0]
        rows, columns = (max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in map(int, x.shape[-2:]))
        if rows % 2 == 0 and columns % 2 == 0:
            return F.conv2d(x, self.weight, None, stride, (rows // 2, columns // 2), 1, self.groups)
        x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return F.conv2d(x, self.weight, None, stride, 0, 1, self.groups)


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """An inverted residual block; `gate` takes the widened features."""

    def __init__(self, inputs, outputs, kernel, stride, expand):
        super().__init__()
        hidden = inputs * expand
        self.expands, self.residual = expand != 1, stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv, self._bn0 = SameConv2d(inputs, hidden, 1), norm(hidden)
        self._depthwise_conv, self._bn1 = SameConv2d(hidden, hidden, kernel, stride, hidden), norm(hidden)
        self._project_conv, self._bn2 = SameConv2d(hidden, outputs, 1), norm(outputs)

    def forward(self, x, gate):
        y = F.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(gate(y))), inplace=True)
        y = self._bn2(self._project_conv(y))
        return y + x if self.residual else y


class Backbone(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self._conv_stem, self._bn0 = SameConv2d(3, STEM, 3, 2), norm(STEM)
        blocks, self.stage_of, inputs = [], [], STEM  # stage_of: of each block, its stage and number there
        for stage, (repeats, kernel, stride, expand, channels) in enumerate(STAGES, 1):
            for number in range(repeats):
                blocks.append(Block(inputs, channels, kernel, stride if number == 0 else 1, expand))
                self.stage_of.append((f"stage{stage}", number, number == repeats - 1))
                inputs = channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SameConv2d(inputs, HEAD, 1), norm(HEAD)
        self.head_act = nn.ReLU6(inplace=True)  # a module: where Grad-CAM hooks in
        self._fc = nn.Linear(HEAD, classes)


class ChannelAttention(nn.Module):
    def __init__(self, channels, config):
        super().__init__()
        assert config["pools"] == ["avg", "max"], config
        hidden = channels // config["reduction"]
        self.fc1 = nn.Linear(channels, hidden, bias=config["bias"])
        self.fc2 = nn.Linear(hidden, channels, bias=config["bias"])

    def forward(self, x):
        pools = x.mean((2, 3)), x.amax((2, 3))
        gate = torch.sigmoid(sum(self.fc2(F.relu(self.fc1(pool))) for pool in pools))  # [N, C]
        return x * gate[:, :, None, None], gate


class SpatialAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        assert not config["batch_norm"], config
        self.conv = nn.Conv2d(2, 1, config["kernel_size"], bias=False)
        self.margin = config["kernel_size"] // 2
        self.pad = {"replicate": "replicate", "zeros": "constant"}[config["padding"]]
        self.max_first = config["order"] == "max_mean"

    def forward(self, x):
        mean, peak = x.mean(1, keepdim=True), x.amax(1, keepdim=True)
        pooled = torch.cat((peak, mean) if self.max_first else (mean, peak), 1)
        gate = torch.sigmoid(self.conv(F.pad(pooled, (self.margin,) * 4, self.pad)))  # [N, 1, H, W]
        return x * gate, gate[:, 0]


class Cbam(nn.Module):
    def __init__(self, channels, config):
        super().__init__()
        self.channel, self.spatial = ChannelAttention(channels, config["channel"]), SpatialAttention(config["spatial"])

    def forward(self, x):
        x, channel = self.channel(x)
        x, spatial = self.spatial(x)
        return x, channel, spatial


def sine_cosine_2d(rows, columns, width):
    """Positions of a grid's cells, [rows * columns, width]: half of the width for the row, half for the column."""
    frequencies = width // 4
    omega = torch.exp(torch.arange(frequencies) * (-np.log(10_000) / frequencies))

    def axis(length):
        angles = torch.outer(torch.arange(length, dtype=torch.float32), omega)
        return torch.cat((angles.sin(), angles.cos()), 1)

    row = axis(rows)[:, None].expand(rows, columns, -1)
    column = axis(columns)[None].expand(rows, columns, -1)
    return F.pad(torch.cat((row, column), 2).flatten(0, 1), (0, width - 4 * frequencies))


class MultiHead(nn.Module):
    """Multi-head self-attention that returns its weights; or, without, by PyTorch's fused kernel."""

    def __init__(self, width, heads, head_dim):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, heads * head_dim) for _ in range(3))
        self.out = nn.Linear(heads * head_dim, width)

    def forward(self, x, need_weights=True):
        q, k, v = (p(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for p in (self.q, self.k, self.v))
        if need_weights:
            weights = (q * q.shape[-1] ** -0.5 @ k.transpose(2, 3)).softmax(-1)  # [N, heads, T, T]
            context = weights @ v
        else:
            weights, context = None, F.scaled_dot_product_attention(q, k, v)
        return self.out(context.transpose(1, 2).flatten(2)), weights


class PatchAttention(nn.Module):
    def __init__(self, channels, config):
        super().__init__()
        assert config["patch_size"] == 1, config
        self.norm = nn.LayerNorm(channels)
        self.attention = MultiHead(channels, config["heads"], config["head_dim"])
        self.positions = {}  # by the grid's size

    def forward(self, x, need_weights=True):
        rows, columns = map(int, x.shape[-2:])
        if (rows, columns) not in self.positions:
            self.positions[rows, columns] = sine_cosine_2d(rows, columns, x.shape[1]).to(x)
        tokens = self.norm(x.flatten(2).transpose(1, 2)) + self.positions[rows, columns]  # [N, T, C]
        context, weights = self.attention(tokens, need_weights)
        return x + context.transpose(1, 2).unflatten(2, (rows, columns)), weights


class Attention(nn.Module):
    """A CBAM block times the gain, then patch self-attention if there is any."""

    def __init__(self, channels, config):
        super().__init__()
        self.cbam, self.gain = Cbam(channels, config["cbam"]), config["gain"]
        self.patch = PatchAttention(channels, config["patch"]) if config.get("patch") else None

    def forward(self, x, maps):
        x, channel, spatial = self.cbam(x)
        x = x * self.gain
        maps += [channel, spatial]
        if self.patch is not None:
            x, weights = self.patch(x)
            maps.append(weights)
        return x


class Net(nn.Module):
    """`forward` returns the logits and the maps, in the order of `names`."""

    def __init__(self, config):
        super().__init__()
        assert config["arch"] == "efficientnet-lite0", config["arch"]
        self.backbone = Backbone(config["classes"])
        channels, inputs = {}, STEM
        for stage, (_, _, _, expand, outputs) in enumerate(STAGES, 1):
            channels[f"stage{stage}.expansion"], channels[f"stage{stage}"], inputs = inputs * expand, outputs, outputs
        self.attention = nn.ModuleDict()  # a dot would part the names
        self.names = ["logits"]
        for block in config["attention"]:
            place = block["stage"]
            self.attention[place.replace(".", "_")] = Attention(channels[place], block)
            self.names += [f"{place}.channel", f"{place}.spatial"]
            self.names += [f"{place}.patch"] if block.get("patch") else []

    def forward(self, x):
        net, maps = self.backbone, []

        def attend(place, x):
            return self.attention[place](x, maps) if place in self.attention else x

        x = F.relu6(net._bn0(net._conv_stem(x)), inplace=True)
        for block, (stage, number, last) in zip(net._blocks, net.stage_of):
            gate = (lambda y, place=f"{stage}_expansion": attend(place, y)) if number == 0 else (lambda y: y)
            x = block(x, gate)
            x = attend(stage, x) if last else x
        x = net.head_act(net._bn1(net._conv_head(x)))
        return (net._fc(x.mean((2, 3))), *maps)


def load():
    """The default network with its trained weights, in evaluation."""
    tensors = {}
    for path, prefix in (BACKBONE, "backbone."), (ATTENTION, ""):
        with safe_open(path, "pt") as file:
            tensors |= {prefix + name: file.get_tensor(name).float() for name in file.keys()}
            config = file.metadata().get("network")
    config = json.loads(config)
    for name in "backbone._fc.weight", "backbone._fc.bias":
        tensors[name] /= config.get("temperature", 1.0)
    net = Net(config).eval()
    missing, unused = net.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    assert not missing and not unused, (missing, unused)
    return net.requires_grad_(False)


def export(path, height, width):
    """Writes the network as ONNX for any batch of pictures of this size."""
    net = load()
    example = torch.zeros(2, 3, height, width)
    net(example)  # the positions of that grid are then constants
    axes = {name: {0: "batch"} for name in ["pixels", *net.names]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sizes become constants: so they shall
        torch.onnx.export(net, (example,), path, dynamo=False, opset_version=20, input_names=["pixels"],
                          output_names=net.names, dynamic_axes=axes)
    return net


def check(worker, image):
    """Compares every output of WORKER on IMAGE with this network's."""
    with tempfile.TemporaryDirectory() as folder:
        answer = subprocess.run(worker, input=f"save {image} {folder}\n", text=True, stdout=subprocess.PIPE, check=True)
        if not answer.stdout.startswith("ok"):
            sys.exit(f"the worker said: {answer.stdout.strip() or 'nothing'}")
        theirs = {path.stem: np.load(path) for path in Path(folder).glob("*.npy")}
    net, pixels = load(), theirs.pop("pixels")
    with torch.inference_mode():
        ours = dict(zip(net.names, (output.numpy() for output in net(torch.from_numpy(pixels)))))
    if ours.keys() != theirs.keys():
        sys.exit(f"outputs differ: {sorted(ours)} and {sorted(theirs)}")
    print(f"input {list(pixels.shape)}")
    worst = 0.0
    for name, value in ours.items():
        assert value.shape == theirs[name].shape, (name, value.shape, theirs[name].shape)
        difference = float(np.abs(value - theirs[name]).max())
        worst = max(worst, difference)
        print(f"{name:26} {str(list(value.shape)):20} largest difference {difference:.2e}")
    print(f"largest of all {worst:.2e}, allowed {TOLERANCE:.0e}")
    return worst <= TOLERANCE


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    exporting = commands.add_parser("export")
    exporting.add_argument("out")
    exporting.add_argument("--height", type=int, default=224)
    exporting.add_argument("--width", type=int, default=224)
    checking = commands.add_parser("check")
    checking.add_argument("worker")
    checking.add_argument("image")
    args = parser.parse_args()
    if args.command == "export":
        export(args.out, args.height, args.width)
    elif not check(args.worker, args.image):
        sys.exit(1)


if __name__ == "__main__":
    main()
