"""Checkpoints as other people's code writes them, run by cbam-run and by PyTorch, compared.

    check_checkpoints.py [--bin FOLDER] [--only PART …] [--list]

Builds each network of checkpoint_list.py with its own library (timm, torchvision, pytorchcv) or with CBAM blocks in the names that
public repositories use, gives it random weights under which gates and BatchNorm matter, saves it, runs cbam-run on a photo that is
not square, and compares all logits and every gate with PyTorch's; Eigen-CAM of the last features where there are no logits. Prints a
table:

    right      the logits and all gates agree
    told       they do not, and the assumption was printed that explains it
    refused    not opened, by the message that the list names
    WRONG      another answer, and not a word of what explains it
    REFUSED    not opened, though it should be, or by another message
    OPENED     opened, though it should be refused
    not built, not run

and exits with 0 if there is nothing but the first three. Needs torch, timm, torchvision, pytorchcv, safetensors, numpy, Pillow (`make
.venv`). One file at a time lies in a temporary folder.
"""

import argparse
import collections
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from checkpoint_list import LIST

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
CLOSE = 1e-3  # of the largest logit; of a gate
NOISE = 20  # or as many times what PyTorch's own f32 is from its f64: deep networks of random weights make much of rounding


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


def all_features(model, x):
    """The features of a picture behind every layer, as they follow one another."""
    found = []
    keep = lambda module, _, out: found.append(out[0]) if torch.is_tensor(out) and out.dim() == 4 else None
    hooks = [module.register_forward_hook(keep) for module in model.modules() if not isinstance(module, nn.AdaptiveAvgPool2d)]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return found


def eigen_cam(features, grid):
    """The last features of a grid along the direction in which they vary most, as crates/cbam-core/src/explain/eigen_cam.rs has it; none if there are
    no such features."""
    features = [one for one in features if tuple(one.shape[1:]) == tuple(grid)]
    if not features:
        return None
    rows = features[-1].flatten(1).T
    along, sizes, _ = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
    along = along[:, 0] * sizes[0]
    along = along if float((along * rows.square().sum(1)).sum()) >= 0 else -along
    return along.clamp(min=0).reshape(tuple(grid)).numpy()


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


def check(program, item, seed, folder):
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
        features = None if logits is not None else all_features(model, x.double())
        if logits is not None:
            noise[0] = float((exact_logits - logits).abs().max())
            if not np.isfinite(noise[0]) or float(logits.std()) < 1e-3:
                raise RuntimeError(f"its logits say nothing: {logits.flatten()[:3].tolist()}")
        for one, other in zip(recorder.gates, exact.gates):
            noise[1] = max(noise[1], float((one - other).abs().max()))
    except Exception as error:  # the library has no such network, or it takes no such picture
        return ["not built", "", "", "", str(error).splitlines()[0][:90]]
    expected = channel_and_spatial(recorder.gates)

    common = [*item.options, "--weights", file]
    code, maps, said = run(program, "--list-maps", *common)
    if code:
        return [refusal(item, said), "", "", "", last(said)]
    names = [name for name in maps.splitlines() if name.startswith(("spatial:", "channel:"))]
    short = min(item.size)
    wanted = names + (["eigencam"] if features is not None or not names else [])
    arguments = [photo, *common, "--size", short, "--maps-dir", folder / "maps", "--json", folder / "r.json"]
    code, _, said = run(program, *arguments, *(part for name in wanted for part in ("--map", name)))
    if code:
        return ["not run", "", "", "", last(said)]
    assumed = [line for line in said.splitlines() if "assum" in line.lower()]

    off, near = 0.0, True
    if logits is not None:
        save_file({"input": x.contiguous(), "logits": logits.contiguous()}, folder / "reference.safetensors")
        code, out, more = run(program, "--check", folder / "reference.safetensors", *common)
        lines = [line for line in out.splitlines() if "largest difference" in line]
        if not lines:
            return ["not run", "", "", "", last(more)]
        for line in lines:
            words = line.split("largest difference ")[1]
            difference = finite(float(words.split(",")[0]))
            scale = float(words.split("values up to ")[1].split(";")[0])
            off = max(off, difference)
            near = near and difference <= max(CLOSE * scale, NOISE * noise[0])
    def saved(name):
        part = "" if len(wanted) == 1 else "." + name.replace(":", "-")
        return np.load(folder / "maps" / f"photo{part}.npy").squeeze()

    if features is not None:
        ours = saved("eigencam")
        theirs = eigen_cam(features, ours.shape)
        off = float("inf") if theirs is None else finite(float(np.abs(ours - theirs).max()))
        near = theirs is not None and off <= CLOSE * float(theirs.max())
    found = {"channel": [], "spatial": []}
    for name in names:
        found[name.split(":")[0]].append(saved(name))
    gates, wrong = 0.0, ""
    for kind, theirs in zip(("channel", "spatial"), expected):
        ours = found[kind]
        if len(ours) != len(theirs):
            wrong = f"{len(ours)} {kind} gates, PyTorch has {len(theirs)}"
            continue
        for one, other in zip(ours, theirs):
            other = other.squeeze().numpy()
            gates = max(gates, finite(float(np.abs(one - other).max())) if one.shape == other.shape else 1.0)
    near = near and gates <= max(CLOSE, NOISE * noise[1])
    note = wrong or (assumed[0].split("assumed: ")[-1] if assumed else "")
    return [verdict(item, near and not wrong, said), f"{off:.1e}", f"{gates:.1e}" if names else "none", f"{len(names)}", note]


def refusal(item, said):
    return "refused" if item.refused and item.refused in said else "REFUSED"


def verdict(item, right, said):
    """What an answer is worth, with what was said of it."""
    if item.refused:
        return "OPENED"
    if right:
        return "right"
    return "told" if item.told and item.told in said else "WRONG"


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
    counts = collections.Counter()
    print(f"{'network':50} {'verdict':9} {'logits':>8} {'gates':>8} {'n':>3}  what it says")
    for seed, item in enumerate(LIST):
        if item not in items:
            continue
        with tempfile.TemporaryDirectory() as folder:
            found, logits, gates, count, note = check(program, item, seed, pathlib.Path(folder))
        note = note.replace(folder, "")
        counts[found] += 1
        print(f"{item.name:50} {found:9} {logits:>8} {gates:>8} {count:>3}  {note}", flush=True)
    print(f"{sum(counts.values())} networks: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    return 1 if set(counts) - {"right", "told", "refused"} else 0


if __name__ == "__main__":
    sys.exit(main())
