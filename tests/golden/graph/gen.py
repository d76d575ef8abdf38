#!/usr/bin/env python3
"""Archives of torch.export of small networks, and what PyTorch makes of a picture in them: NAME.pt2 and NAME.safetensors; some of
them as ONNX too, NAME-SET.onnx.

    make .venv && .venv/bin/python tests/golden/graph/gen.py

`input` is the picture, `output…` what the network gives out, `gate.N` what its N-th operation into [0, 1] gave while it ran,
`attention.N` the weights of its N-th attention, `gradcam` Grad-CAM by autograd of the likeliest class, which the metadata names;
`relevance` what every token is to every other for that class; `score` Grad-CAM of the mean of the first output's channel 8. The
networks, and the code that reads PyTorch, are those of scripts/any_network.py. Written with PyTorch 2.11.
"""

import io
import json
import pathlib
import re
import sys
import warnings
import zipfile

import timm
import torch
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "scripts"))
from any_network import Recorder, arrays, at_module, at_value, autograd_cams, cam, flat, randomise  # noqa: E402
from any_network_list import Bam, Cbam, Conv, CoordinateAttention, Neck, Own, ResNetCbam, Swish  # noqa: E402

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
DIM = torch.export.Dim
FREE = {0: DIM("b", max=64), 2: 32 * DIM("h", min=1, max=64), 3: 32 * DIM("w", min=1, max=64)}


class Small(nn.Module):
    """CBAM in a residual block, with ReLU and the addition in place, and a part that runs without gradients."""

    def __init__(self, width=8):
        super().__init__()
        self.stem, self.cbam = Conv(3, width, 4), Cbam(width)
        self.conv, self.bn, self.relu = nn.Conv2d(width, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        self.down, self.fc = nn.Conv2d(width, width, 1, 2), nn.Linear(width, 5)

    def forward(self, x):
        with torch.no_grad():
            x = x * 1.5
        x = self.stem(x)
        out = self.cbam(self.bn(self.conv(x)))
        out += self.down(x)
        return self.fc(self.relu(out).mean((2, 3)))


class Slices(nn.Module):
    """Writes into a part of a map that has another name."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 6, 3, 4, 1), nn.Linear(6, 3)

    def forward(self, x):
        x = self.conv(x)
        y = x.clone()
        y[:, :3] = torch.sigmoid(x[:, 3:]) * 2
        y[:, 4].mul_(3)
        return self.fc(y.relu().mean((2, 3)))


class ChannelsLast(nn.Module):
    """Gates of channels and of places that multiply maps [N, H, W, C]."""

    def __init__(self):
        super().__init__()
        self.conv, self.excite, self.place = nn.Conv2d(3, 6, 3, 4, 1), nn.Linear(6, 6), nn.Linear(6, 1)
        self.last, self.fc = nn.Conv2d(6, 6, 3, 2, 1), nn.Linear(6, 3)

    def forward(self, x):
        x = self.conv(x).permute(0, 2, 3, 1)
        x = x * torch.sigmoid(self.excite(x.mean((1, 2), keepdim=True)))
        x = x * torch.sigmoid(self.place(x))
        return self.fc(self.last(x.permute(0, 3, 1, 2)).relu().mean((2, 3)))


class Inverted(nn.Module):
    """Inverted residual blocks and separable convolutions: without and with a first matrix, added to what came or not, 3x3 and 5x5, padded as TensorFlow does."""

    def __init__(self):
        super().__init__()
        def block(width, inner, out, kernel, stride, first=True, pad=None):
            norm, act = nn.BatchNorm2d, lambda: nn.ReLU6(inplace=True)
            layers = [nn.Conv2d(width, inner, 1, bias=False), norm(inner), act()] if first else []
            layers += [pad] if pad else []
            layers += [nn.Conv2d(inner, inner, kernel, stride, 0 if pad else kernel // 2, groups=inner, bias=False), norm(inner), act(),
                       nn.Conv2d(inner, out, 1, bias=False), norm(out)]
            return nn.Sequential(*layers)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.blocks = nn.ModuleList([block(8, 8, 6, 3, 1, first=False), block(6, 20, 6, 5, 1),
                                     block(6, 20, 10, 3, 2, pad=nn.ZeroPad2d((0, 1, 0, 1))), block(10, 40, 10, 3, 1)])
        self.separable = nn.Sequential(block(10, 10, 12, 3, 1, first=False), nn.ReLU(), block(12, 12, 12, 3, 1, first=False))
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        x = self.blocks[0](self.stem(x))
        x = x + self.blocks[1](x)
        x = self.blocks[2](x)
        x = self.blocks[3](x) + x
        return self.fc(self.separable(x).mean((2, 3)))


class Parts(nn.Module):
    """Activations whose parts are gates of their own: of places, of channels, of rows and columns."""

    def __init__(self):
        super().__init__()
        self.conv, self.places, self.excite, self.axes, self.fc = (
            nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 2, 1), nn.Linear(4, 8), nn.Conv2d(4, 4, 1), nn.Linear(4, 3))
        self.sigmoids = nn.ModuleList(nn.Sigmoid() for _ in range(3))

    def forward(self, x):
        x = self.conv(x)
        places = self.sigmoids[0](self.places(x))
        x = x * places[:, 0].unsqueeze(1) + x.flip(3) * places[:, 1:]
        first, second = self.sigmoids[1](self.excite(x.mean((2, 3)))).chunk(2, 1)
        x = x * first[:, :, None, None] + x.roll(1, 2) * second[:, :, None, None]
        both = self.sigmoids[2](self.axes(torch.cat([x.mean(3, True), x.mean(2, True).transpose(2, 3)], 2)))
        rows, columns = both.split([x.shape[2], x.shape[3]], 2)
        return self.fc((x * rows * columns.transpose(2, 3)).mean((2, 3)))


class Odd(nn.Module):
    """What looks like gates and is none of a picture's: learned scales, masked weights, groups among a batch's pictures, maps with their
    sides turned. And two gates that are multiplied with one another first."""

    def __init__(self):
        super().__init__()
        self.conv, self.scale, self.mask = nn.Conv2d(3, 8, 3, 2, 1), nn.Parameter(torch.randn(1, 8, 1, 1)), nn.Parameter(torch.randn(8, 1, 3, 3))
        self.turn, self.excite, self.place, self.fc = nn.Conv2d(2, 1, 3, 1, 1), nn.Linear(8, 8), nn.Conv2d(8, 1, 1), nn.Linear(8, 3)

    def forward(self, x):
        x = self.conv(x) * torch.sigmoid(self.scale)
        x = nn.functional.conv2d(x, self.conv.weight.mean(1, True) * torch.sigmoid(self.mask), padding=1, groups=8)
        turned = x.permute(0, 2, 1, 3)
        turned = turned * torch.sigmoid(self.turn(torch.cat([turned.amax(1, True), turned.mean(1, True)], 1)))
        x = turned.permute(0, 2, 1, 3).contiguous()
        n, c, h, w = x.shape
        folded = x.view(n * 2, c // 2, h, w)
        x = (folded * torch.sigmoid(folded.mean(1, True))).view(n, c, h, w)
        channels, places = torch.sigmoid(self.excite(x.mean((2, 3))))[:, :, None, None], torch.sigmoid(self.place(x))
        return self.fc((x * (channels * places)).mean((2, 3)))


class Windows(nn.Module):
    """Patches cut by views, attention in windows, patches merged to coarser ones, attention over all of these."""

    def __init__(self):
        super().__init__()
        self.embed, self.merge, self.norm, self.fc = nn.Linear(48, 8), nn.Linear(32, 12), nn.LayerNorm(12), nn.Linear(12, 3)
        self.inside, self.all = nn.MultiheadAttention(8, 2, batch_first=True), nn.MultiheadAttention(12, 2, batch_first=True)

    def forward(self, x):
        n, _, h, w = x.shape
        h, w = h // 4, w // 4
        x = x.view(n, 3, h, 4, w, 4).permute(0, 2, 4, 3, 5, 1).reshape(n, h * w, 48)
        x = self.embed(x).view(n, h, w, 8)
        cut = x.view(n, h // 4, 4, w // 4, 4, 8).transpose(2, 3).reshape(-1, 16, 8)
        cut = self.inside(cut, cut, cut, need_weights=False)[0].view(n, h // 4, w // 4, 4, 4, 8).transpose(2, 3)
        x = x + cut.reshape(n, h, w, 8)
        x = x.reshape(n, h // 2, 2, w // 2, 2, 8).permute(0, 1, 3, 4, 2, 5).flatten(3)
        x = self.norm(self.merge(x).flatten(1, 2))
        return self.fc((x + self.all(x, x, x, need_weights=False)[0]).mean(1))


class Recurrent(nn.Module):
    """Maps of groups that lie among the pictures of a batch, which are no place of a picture, and recurrent layers over the positions."""

    def __init__(self):
        super().__init__()
        self.conv, self.groups, self.both_ways = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1, groups=4), nn.LSTM(8, 3, 1, True, True, 0, True)
        self.gated, self.plain, self.hard = nn.GRU(6, 4), nn.RNN(4, 4), nn.RNN(4, 4, 2, "relu", False)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        x = self.conv(x).relu()
        n, c, h, w = x.shape
        x = self.groups(x.reshape(n * 2, c // 2, h, w)).reshape(n, c, h * w).transpose(1, 2)
        x = self.gated(self.both_ways(x)[0].transpose(0, 1))[0]
        return self.fc(self.hard(self.plain(x)[0])[0][-1])


class Sequence(nn.Module):
    """Attention over tokens [T, N, C], the class token taken by itself; or over patches column by column."""

    def __init__(self, columns=False):
        super().__init__()
        self.columns, self.patches, self.first = columns, nn.Conv2d(3, 12, 8, 8), nn.Parameter(torch.randn(1, 1, 12))
        self.attend, self.norm, self.fc = nn.MultiheadAttention(12, 2), nn.LayerNorm(12), nn.Linear(12, 3)

    def forward(self, x):
        x = self.patches(x)
        x = (x.transpose(2, 3) if self.columns else x).flatten(2).permute(2, 0, 1)
        x = x if self.columns else torch.cat([self.first.expand(-1, x.shape[1], -1), x])
        x = x + self.attend(self.norm(x), self.norm(x), self.norm(x), need_weights=False)[0]
        return self.fc(x.mean(0) if self.columns else x.narrow(0, 0, 1)[0])


class Tokens(nn.Module):
    """Self-attention over as many patches as a picture has."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.qkv, self.fc = nn.Conv2d(3, 12, 16, 16), nn.LayerNorm(12), nn.Linear(12, 36), nn.Linear(12, 4)

    def forward(self, x):
        x = self.conv(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(x)).unflatten(2, (3, 2, 6)).permute(2, 0, 3, 1, 4)
        x = x + nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.fc(x.mean(1))


def vit():
    """A vision transformer with a class token and two registers."""
    return timm.models.vision_transformer.VisionTransformer(
        img_size=(64, 96), patch_size=16, embed_dim=24, depth=2, num_heads=3, num_classes=4, reg_tokens=2, class_token=True)


class Attended:
    """The weights of attention, recomputed from what scaled_dot_product_attention is given."""

    def __enter__(self):
        self.weights, self.own = [], nn.functional.scaled_dot_product_attention

        def attend(q, k, v, *rest, **more):
            self.weights.append(torch.softmax(q.double() @ k.double().transpose(-2, -1) / q.shape[-1] ** 0.5, -1).float())
            return self.own(q, k, v, *rest, **more)

        nn.functional.scaled_dot_product_attention = attend
        return self

    def __exit__(self, *_):
        nn.functional.scaled_dot_product_attention = self.own


def relevance(model, picture, classes):
    """That of each token for each other, of a class's score: Chefer et al. 2021, equations 5 and 6, with attention written out."""
    weights, own = [], nn.functional.scaled_dot_product_attention

    def attend(q, k, v, *_, **__):
        weights.append(torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, -1))
        return weights[-1] @ v

    nn.functional.scaled_dot_product_attention = attend
    score = model(picture)[0, classes]
    nn.functional.scaled_dot_product_attention = own
    joined = torch.eye(weights[0].shape[-1], dtype=picture.dtype)
    for of, slope in zip(weights, torch.autograd.grad(score, weights)):
        joined = joined + (of[0] * slope[0]).clamp(min=0).mean(0) @ joined
    return joined.detach()


def repack(path):
    """Leaves out what nobody reads, the example and the history of nodes, and where this machine has its Python."""
    with zipfile.ZipFile(path) as archive:
        records = {record.filename: archive.read(record) for record in archive.infolist() if "sample_inputs" not in record.filename}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            if name.endswith("models/model.json"):
                program = json.loads(content)
                for node in program["graph_module"]["graph"]["nodes"]:
                    node["metadata"].pop("from_node", None)
                # Tests change words of the small one, as PyTorch writes them; the others are kept short.
                small = path.stem == "small"
                if not small:
                    for node in program["graph_module"]["graph"]["nodes"]:
                        node["metadata"].pop("stack_trace", None)
                spaces = None if small else (",", ":")
                text = re.sub(r'File \\"[^"]*?/(site-packages|scripts|golden)/', r'File \\"\1/', json.dumps(program, separators=spaces))
                content = text.encode()
            archive.writestr(zipfile.ZipInfo(name), content)


torch.backends.mha.set_fastpath_enabled(False)  # one operation, which shows nothing of its attention


def built(build):
    torch.manual_seed(7)
    model = build().eval()
    randomise(model)
    return model


def write(name, build, shape=(2, 3, 64, 96), shapes=FREE, at=None, form=None, dtype=torch.float32, decompose=False, classes=0, of_score=None,
          relevant=False):
    model = built(build).to(dtype)
    pictures = torch.randn(shape).to(dtype)
    program = torch.export.export(model, (pictures,), dynamic_shapes=None if shapes is None else (shapes,))
    recorder = Recorder()
    with torch.no_grad(), Attended() as attended, recorder:
        outputs = flat(model(pictures))
    tensors = {"input": pictures, **outputs}
    tensors |= {f"gate.{place}": gate for place, gate in enumerate(recorder.gates)}
    tensors |= {f"attention.{place}": weights for place, weights in enumerate(attended.weights)}
    metadata = {}
    if at:
        output, features = at_value(program, pictures, at)
        index = int(list(flat(output).values())[classes].reshape(len(pictures), -1)[0].argmax())
        about = {"form": form or {"kind": "maps"}, "classes": classes, "class": index, "outputs": "softmax"}
        cams, _ = autograd_cams(output, features, about)
        tensors["gradcam"] = torch.tensor(cams[0]).float()
        metadata = {"class": str(index)}
    if relevant:
        index = int(next(iter(outputs.values()))[0].argmax())
        metadata = {"class": str(index)}
        tensors["relevance"] = relevance(built(build).double(), pictures[:1].double(), index).float()
    if of_score:
        output, features = at_module(model, pictures, of_score)
        slope, = torch.autograd.grad(output[0][0, 8].mean(), features)
        tensors["score"] = torch.tensor(cam(*arrays([features[0][0], slope[0]]), {"kind": "maps"})).float()
    if decompose:
        program = program.run_decompositions()
    torch.export.save(program, HERE / f"{name}.pt2")
    repack(HERE / f"{name}.pt2")
    save_file({key: torch.as_tensor(value).detach().contiguous().clone() for key, value in tensors.items()}, HERE / f"{name}.safetensors", metadata)
    return model


def old_layout(source, name, model):
    """An archive as PyTorch before 2.8 wrote it: the same JSON, and the numbers as torch.save writes them."""
    with zipfile.ZipFile(HERE / f"{source}.pt2") as archive:
        text = archive.read(f"{source}/models/model.json")
    def saved(value):
        buffer = io.BytesIO()
        torch.save(value, buffer)
        return buffer.getvalue()
    with zipfile.ZipFile(HERE / f"{name}.pt2", "w") as archive:
        archive.writestr("serialized_exported_program.json", text)
        archive.writestr("serialized_state_dict.pt", saved(model.state_dict()))
        archive.writestr("serialized_constants.pt", saved({}))
        archive.writestr("version", "7.1")


def onnx_of(name, build, version, shape=(2, 3, 64, 96), free=("batch", "height", "width"), outside=False, folded=True, short=False):
    """The same network as a model of ONNX: by the exporter of TorchScript, from set 18 on by that of torch.export."""
    import onnx
    path, pictures = HERE / f"{name}-{version}.onnx", torch.randn(shape)
    by_place = dict(zip((0, 2, 3), free))
    options = {"opset_version": version, "input_names": ["input"], "output_names": ["output"]}
    if version < 18:
        options |= {"dynamo": False, "do_constant_folding": folded, "dynamic_axes": {"input": by_place}}
        options |= {} if folded else {"training": torch.onnx.TrainingMode.PRESERVE}
    else:
        options |= {"dynamo": True, "dynamic_shapes": ({place: FREE[place] for place in by_place},)}
    torch.onnx.export(built(build), (pictures,), path, **options)
    model = onnx.load(path)
    (HERE / f"{path.name}.data").unlink(missing_ok=True)
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if not short or entry.key.endswith(("class_hierarchy", "name_scopes"))]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
        for entry in node.metadata_props:
            entry.value = re.sub(r'File "[^"]*?/(site-packages|scripts|golden)/', r'File "\1/', entry.value)
    path.unlink()
    where = {"save_as_external_data": True, "location": f"{path.name}.data", "size_threshold": 64} if outside else {}
    onnx.save(model, path, **where)


def onnx_goldens():
    for version in (11, 13, 17):
        onnx_of("small", Small, version, outside=version == 13, folded=version != 17)
    onnx_of("bam", lambda: Own(["layer1"], Bam, width=4), 21)
    onnx_of("vit", vit, 17, free=("batch",))
    onnx_of("vit", vit, 21, free=("batch",), short=True)
    onnx_of("coordinate", lambda: Own(["layer2"], CoordinateAttention, width=4), 11)


def main():
    small = write("small", Small, at="relu__3")
    old_layout("small", "old-layout", small)
    torch.save({"epoch": 3, "model": {f"module.{key}": value * 0.5 if value.is_floating_point() else value
                                      for key, value in small.state_dict().items()}}, HERE / "small-half.pth")
    write("blocks", lambda: ResNetCbam("linear", 4), at="relu__8")
    write("decomposed", Small, shape=(2, 3, 32, 48), shapes=None, decompose=True)
    write("coordinate", lambda: Own(["layer2"], CoordinateAttention, width=4), at="relu__4")
    write("repeat", lambda: Own(["stem"], lambda c: Cbam(c, "repeat"), width=4), shape=(1, 3, 64, 96), shapes={2: FREE[2], 3: FREE[3]})
    write("bam", lambda: Own(["layer1"], Bam, width=4), shape=(1, 3, 64, 96), shapes={2: FREE[2], 3: FREE[3]})
    write("hard", lambda: ResNetCbam("hard", 4), shape=(1, 3, 64, 96), shapes={2: FREE[2], 3: FREE[3]})
    write("swish", Swish, shape=(1, 3, 64, 96), shapes={2: FREE[2], 3: FREE[3]})
    write("neck", lambda: Neck(16), of_score="cbam4")
    write("slices", Slices, shape=(2, 3, 64, 64))
    write("grey", lambda: nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
          shape=(2, 1, 64, 96))
    write("channels-last", ChannelsLast, at="relu")
    write("parts", Parts, shape=(2, 3, 16, 24), shapes=None)
    write("inverted", Inverted, shape=(1, 3, 32, 48), shapes=None, at="batch_norm_15")
    write("odd", Odd, shape=(1, 3, 16, 24), shapes=None)
    write("windows", Windows, shape=(2, 3, 32, 48), shapes=None, at="linear_3", form={"kind": "channels last"})
    write("recurrent", Recurrent, shape=(1, 3, 16, 24), shapes=None, at="relu")
    write("sequence", Sequence, shape=(1, 3, 32, 48), shapes=None, relevant=True)
    write("columns", lambda: Sequence(columns=True), shape=(1, 3, 32, 48), shapes=None)
    write("half", Small, shape=(2, 3, 32, 48), shapes=None, dtype=torch.bfloat16)
    write("fixed", Small, shape=(3, 3, 64, 64), shapes=None)
    write("tokens", Tokens, at="layer_norm", form={"kind": "tokens", "before": 0, "grid": [4, 6]}, relevant=True)
    write("vit", vit, shapes={0: FREE[0]}, at="layer_norm_2", form={"kind": "tokens", "before": 3, "grid": [4, 6]},
          relevant=True)
    onnx_goldens()
    for file in sorted(HERE.glob("*.pt2")):
        print(file.name, file.stat().st_size)
    nodes = json.loads(zipfile.ZipFile(HERE / "small.pt2").read("small/models/model.json"))["graph_module"]["graph"]["nodes"]
    print([node["name"] for node in nodes])


if __name__ == "__main__":
    main()
