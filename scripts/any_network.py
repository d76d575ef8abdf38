#!/usr/bin/env python3
"""Networks of every kind through torch.export, run by this crate and by PyTorch, compared.

    any_network.py [--answers PROGRAM] [--only PART …] [--results FILE] [--seconds 120] [--list]

Each network of any_network_list.py is built with random weights and BatchNorm statistics, exported with torch.export (sides and batch
free if that can be; else the batch; else of one size), and run by `examples/graph_answers`. Compared: every output with the network's own;
every gate and attention with what PyTorch's operations gave while the network ran; Grad-CAM at the place that was found with PyTorch's
autograd there. One JSON line a network goes to the results, which a later run does not do again. Prints a table of what was found.
Needs what `make .venv` installs.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLOSE = 1e-4
# Attention in windows, whose export with free sides takes minutes.
WINDOWS = ("swin", "maxvit", "maxxvit", "gcvit", "davit", "hiera", "nest_")


def randomise(model):
    """Weights under which gates, BatchNorm and attention matter."""
    import torch
    from torch import nn
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.3)
            if module.weight is not None:
                nn.init.uniform_(module.weight, 0.8, 1.2)
                nn.init.normal_(module.bias, 0, 0.1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1 and ("gamma" in name or "ls" in name.split(".")) and parameter.abs().max() < 1e-3:
                parameter.uniform_(0.5, 1)


def wide(model, pictures):
    """Pictures that are not square, if the network itself gives out as much for them: some pool by 7x7 and no other size."""
    import torch
    batch, channels, side, _ = pictures.shape
    wider = torch.randn(batch, channels, side, side + 64)
    try:
        with torch.no_grad():
            shapes = [[value.shape for value in flat(model(of)).values() if value.dim() < 3] for of in (pictures, wider)]
    except Exception:  # whatever the network refuses them by
        return pictures
    return wider if shapes[0] == shapes[1] else pictures


def export(model, size, windows, batch=2):
    """The program, the picture that it is asked of, and what is free."""
    import torch
    height, width = size
    pictures = torch.randn(batch, 3, height, width)
    dim = torch.export.Dim
    sides = {0: dim("b", max=64), 2: 32 * dim("h", min=2, max=64), 3: 32 * dim("w", min=2, max=64)}
    errors = []
    for free, shapes in (("sides", sides), ("batch", {0: sides[0]}), ("nothing", None)):
        if free == "sides" and (height != width or height % 32 or windows):
            continue
        try:
            program = torch.export.export(model, (pictures,), dynamic_shapes=None if shapes is None else (shapes,))
        except Exception as error:
            errors.append(f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}")
            continue
        if free == "sides":
            pictures = wide(model, pictures)
        return program, pictures, free
    raise RuntimeError("; ".join(errors))


class Recorder:
    """What operations into [0, 1] and softmaxes give while a network runs, in their order."""

    def __new__(cls):
        import torch
        from torch.utils._python_dispatch import TorchDispatchMode

        class Mode(TorchDispatchMode):
            def __init__(self):
                super().__init__()
                self.gates, self.attention = [], []

            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                kwargs = kwargs or {}
                out = function(*args, **kwargs)
                name = function.overloadpacket.__name__
                sixth = name in ("div", "div_") and len(args) > 1 and not isinstance(args[1], torch.Tensor) and args[1] == 6
                if name in ("sigmoid", "sigmoid_", "hardsigmoid", "hardsigmoid_") or sixth:
                    self.gates.append(out.detach().clone())
                elif name == "_softmax":
                    self.attention.append(out.detach().clone())
                elif name == "_scaled_dot_product_flash_attention_for_cpu" and args[0].shape[-2] == args[1].shape[-2]:
                    scale = kwargs.get("scale") or args[0].shape[-1] ** -0.5
                    scores = args[0] @ args[1].transpose(-2, -1) * scale
                    mask = kwargs.get("attn_mask")
                    self.attention.append((scores if mask is None else scores + mask).softmax(-1))
                return out
        return Mode()


def flat(output, name="output"):
    """The tensors of an output by the names that Python has for them."""
    import torch
    if isinstance(output, torch.Tensor):
        return {name: output}
    items = output.items() if isinstance(output, dict) else enumerate(output) if isinstance(output, (list, tuple)) else ()
    return {key: value for part, inner in items for key, value in flat(inner, f"{name}[{part!r}]").items()}


def autograd_cam(program, pictures, node_name, form, classes):
    """Grad-CAM of the first picture at a node of the program, by PyTorch."""
    import torch

    class Run(torch.fx.Interpreter):
        leaf = None

        def run_node(self, node):
            out = super().run_node(node)
            if node.name == node_name:
                self.leaf = out.detach().clone().requires_grad_()
                return self.leaf * 1
            return out

    run = Run(program.module(check_guards=False))
    output = run.run(pictures)
    output = output[classes] if isinstance(output, (list, tuple)) else output
    scores = output.reshape(output.shape[0], -1)
    index = int(scores[0].argmax())
    (slope,) = torch.autograd.grad(scores[0, index], run.leaf)
    features, slope = run.leaf[0].detach().double(), slope[0].double()
    if form["kind"] == "channels last":
        features, slope = features.permute(2, 0, 1), slope.permute(2, 0, 1)
    elif form["kind"] == "tokens":
        rows, columns = form["grid"]
        cut = slice(form["before"], form["before"] + rows * columns)
        features, slope = (of[cut].T.reshape(-1, rows, columns) for of in (features, slope))
    return index, (slope.mean((1, 2), keepdim=True) * features).sum(0).relu()


def reductions(gate):
    """What this crate may show of a gate, by kind."""
    if gate.dim() == 2:
        return {"channel": gate}
    if gate.dim() != 4:
        return {"channel": gate.reshape(gate.shape[0], -1)}
    return {"channel": gate.mean((2, 3)), "spatial": gate.mean(1), "coordinate": gate}


def nearest(told, recorded, kind):
    """The least largest difference of what was told from what was recorded."""
    best = float("inf")
    for gate in recorded:
        of = reductions(gate).get(kind)
        if of is None:
            continue
        if kind == "coordinate":
            for other in recorded:
                if other.dim() == 4 and other.shape[1] == gate.shape[1] and gate.shape[3] == 1 and other.shape[2] == 1:
                    product = (gate * other).mean(1)
                    if product.shape == told.shape:
                        best = min(best, (product - told).abs().max().item())
        elif of.shape == told.shape:
            best = min(best, (of.float() - told).abs().max().item())
    return best


def one(name, answers):
    """One network: a row of the results."""
    import torch
    from any_network_list import build
    from safetensors.torch import load_file, save_file
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)  # one operation, which shows nothing of its attention
    torch.manual_seed(zlib.crc32(name.encode()))
    start, row = time.monotonic(), {"name": name}
    model, size = build(name)
    randomise(model.eval())
    program, pictures, row["free"] = export(model, size, any(part in name for part in WINDOWS))
    row["export_s"] = round(time.monotonic() - start, 1)
    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/net.pt2", f"{folder}/in.safetensors", f"{folder}/out.safetensors"]
        torch.export.save(program, files[0])
        save_file({"input": pictures.contiguous()}, files[1])
        recorder = Recorder()
        with torch.no_grad(), recorder:
            own = flat(model(pictures))
        process = subprocess.run([answers, *files, "auto"], capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
        if process.returncode:
            return row | {"failed": process.stderr.strip()[-600:]}
        told, about = load_file(files[2]), json.loads(process.stdout.splitlines()[-1])
    row |= {key: about[key] for key in ("nodes", "place", "left_out")}
    row["maps"] = {kind: sum(name.startswith(f"{kind}:") and name.endswith("/0") for name in told)
                   for kind in ("channel", "spatial", "coordinate", "patch", "cls")}
    outputs = [name for name in told if name.startswith("output")]
    missing = sorted(set(own) - set(outputs))
    if missing:
        return row | {"failed": f"outputs {sorted(outputs)}, and not {sorted(own)}"}
    scale = max(max(of.abs().max().item() for of in own.values() if of.numel()), 1)
    row["output"] = max((own[of].float() - told[of]).abs().max().item() for of in own) / scale
    worst = {"gate": 0.0, "attention": 0.0}
    for told_name, value in told.items():
        kind = told_name.split(":")[0]
        if kind not in ("channel", "spatial", "coordinate", "patch"):
            continue
        index = int(told_name.rsplit("/", 1)[1])
        if kind == "patch":
            found = nearest_attention(value, recorder.attention, index, len(pictures))
            worst["attention"] = max(worst["attention"], found)
            continue
        recorded = [gate[index:index + 1] for gate in recorder.gates if gate.shape[:1] == pictures.shape[:1]]
        worst["gate"] = max(worst["gate"], nearest(value[None], recorded, kind))
    row["gate"], row["sigmoids"], row["attention"] = worst["gate"], len(recorder.gates), worst["attention"]
    if about["place_value"] and "gradcam" in told:
        index, cam = autograd_cam(program, pictures, about["place_value"], about["form"], about["classes"])
        theirs, ours = cam.float(), told["gradcam"]
        row["gradcam"] = (theirs - ours).abs().max().item() / max(theirs.max().item(), 1e-12) if theirs.max() > 0 else float(ours.max())
        row["class"] = index == about["class"]
    row["seconds"] = round(time.monotonic() - start, 1)
    return row


def nearest_attention(told, recorded, index, batch):
    """The same of what patches receive, [heads, rows, columns], wherever they stand in the line of tokens."""
    heads, rows, columns = told.shape
    best = float("inf")
    for weights in recorded:
        if weights.shape[-1] != weights.shape[-2] or weights.numel() % (batch * heads * weights.shape[-1] ** 2):
            continue
        tokens = weights.shape[-1]
        of = weights.reshape(batch, -1, tokens, tokens)[index].float()
        for start in range(max(tokens - rows * columns + 1, 0) if of.shape[0] == heads else 0):
            cut = slice(start, start + rows * columns)
            received = of[:, cut, cut].mean(1) * tokens
            best = min(best, (received.reshape(told.shape) - told).abs().max().item())
    return best


def verdict(row):
    if "failed" in row:
        return "failed"
    parts = [row.get(of, 0) for of in ("output", "gate", "attention", "gradcam")]
    return "right" if all(part <= CLOSE for part in parts) and row.get("class", True) else "WRONG"


def table(rows):
    lines = ["| network | free | operations | gates | attention | place | outputs off by | gates off by | attention off by | Grad-CAM off by | |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    number = lambda row, key: f"{row[key]:.1e}" if row.get(key) else "0" if key in row else "–"
    for row in rows:
        if "failed" in row:
            lines.append(f"| {row['name']} | {row.get('free', '')} | | | | | | | | | {row['failed'].splitlines()[-1][:160]} |")
            continue
        maps = row["maps"]
        gates = ", ".join(f"{maps[kind]} {kind}" for kind in ("channel", "spatial", "coordinate") if maps[kind])
        lines.append(f"| {row['name']} | {row['free']} | {row['nodes']} | {gates} | {maps['patch'] or ''} | {row['place'] or ''} | "
                     f"{number(row, 'output')} | {number(row, 'gate')} | {number(row, 'attention')} | {number(row, 'gradcam')} | {verdict(row)} |")
    counts = {of: sum(verdict(row) == of for row in rows) for of in ("right", "WRONG", "failed")}
    return "\n".join([*lines, "", ", ".join(f"{count} {of}" for of, count in counts.items()) + f", of {len(rows)}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", default=str(ROOT / "target/release/examples/graph_answers"))
    parser.add_argument("--only", nargs="+", default=[], help="those whose names have one of these parts")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "target/any-network.jsonl")
    parser.add_argument("--seconds", type=int, default=120, help="the most for one network")
    parser.add_argument("--list", action="store_true", help="print the names alone")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one, args.answers)))
        return 0
    import any_network_list as lists
    names = [*(f"own/{name}" for name in lists.OWN), *(f"torchvision/{name}" for name in [*lists.VISION, *lists.SEGMENT]),
             *(f"pytorchcv/{name}" for name in lists.CV), *(f"timm/{name}" for name in (ROOT / "scripts/any_network_timm.txt").read_text().split())]
    names = [name for name in names if not args.only or any(part in name for part in args.only)]
    if args.list:
        print("\n".join(names))
        return 0
    args.results.parent.mkdir(parents=True, exist_ok=True)
    done = {}
    if args.results.exists():
        done = {row["name"]: row for row in map(json.loads, args.results.read_text().splitlines())}
    for name in names:
        if name in done:
            continue
        command = [sys.executable, __file__, "--one", name, "--answers", args.answers]
        try:
            process = subprocess.run(command, capture_output=True, text=True, timeout=args.seconds, check=False)
            row = json.loads(process.stdout.splitlines()[-1]) if process.returncode == 0 else {
                "name": name, "failed": f"PyTorch: {process.stderr.strip()[-600:]}"}
        except subprocess.TimeoutExpired:
            row = {"name": name, "failed": f"took over {args.seconds} s"}
        done[name] = row
        with args.results.open("a") as out:
            out.write(json.dumps(row) + "\n")
        print(f"{name}: {verdict(row)}", file=sys.stderr, flush=True)
    rows = [done[name] for name in names]
    print(table(rows))
    return int(any(verdict(row) != "right" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
