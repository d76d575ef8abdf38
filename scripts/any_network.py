#!/usr/bin/env python3
"""Networks of every kind through torch.export or ONNX, run by this crate and by PyTorch, compared.

    any_network.py [--kind pt2|onnx|more] [--answers PROGRAM] [--only PART …] [--results FILE] [--seconds 120] [--jobs 1]
                   [--device cpu|cuda] [--list]

Each network of any_network_list.py, or of any_network_more.py, is built with random weights and BatchNorm statistics, exported with
torch.export, or to ONNX where its name ends in @onnx and an opset (by TorchScript up to 17, by torch.export from 18 on), with sides and
batch free if that can be (else the batch; else of one size), and run by `examples/graph_answers`. ONNX Runtime must agree that a file of ONNX is the network. Compared:
every output with the network's own; every gate and attention with what PyTorch's operations gave while the network ran; Grad-CAM at the
place that was found with PyTorch's autograd there, of ONNX where the place is a module of the network that gives out maps of that size.
One JSON line a network goes to the results, which a later run does not do again. Prints a table of what was found.
Needs what `make .venv` installs, and `make .venv/more`.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings
import zlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLOSE = 1e-4
ROUNDING = 4
VERDICTS = ("right", "rounding", "WRONG", "failed")
# Attention in windows, whose export with free sides takes minutes.
WINDOWS = ("swin", "maxvit", "maxxvit", "gcvit", "davit", "hiera", "nest_")
AXES = ("batch", "channels", "height", "width")


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
            if parameter.dim() == 2 and not parameter.any():  # a head that gives 0 of everything
                parameter.normal_(0, 0.02)


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


def write(model, pictures, shapes, opset, path):
    """The file: .pt2 without an opset, else ONNX. Of torch.export the program too."""
    import torch
    from any_network_list import DYNAMO
    program = None
    if opset is None or opset >= DYNAMO:
        program = torch.export.export(model, (pictures,), dynamic_shapes=None if shapes is None else (shapes,))
    if opset is None:
        torch.export.save(program, path)
        return program
    outputs = numbered(flat(model(pictures)))
    about = {"opset_version": opset, "input_names": ["input"], "output_names": outputs}
    if program:
        torch.onnx.export(program, (), path, dynamo=True, external_data=False, **about)
    else:
        axes = {"input": {axis: AXES[axis] for axis in shapes}, **{name: {0: "batch"} for name in outputs}} if shapes else None
        torch.onnx.export(model, (pictures,), path, dynamo=False, dynamic_axes=axes, **about)
    return program


def numbered(outputs):
    """Names of a file's outputs."""
    return ["output"] if len(outputs) == 1 else [f"output_{index}" for index in range(len(outputs))]


def confirm(net, runs):
    """The outputs' names, if ONNX Runtime gives what the network gave of pictures, by the file and not as its optimiser makes of it."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.graph_optimization_level = 1, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(net, options, providers=["CPUExecutionProvider"])
    for pictures, own in runs:
        if off(own, session.run(None, {session.get_inputs()[0].name: pictures})) > CLOSE:
            raise ValueError("ONNX Runtime gives other numbers than the network")
    return [output.name for output in session.get_outputs()]


def export(model, size, windows, opset, path, batch=2):
    """The file and the program; the pictures that it is asked of, and what is free."""
    import torch
    from any_network_list import DYNAMO
    height, width = size
    pictures = torch.randn(batch, 3, height, width)
    dim = torch.export.Dim
    sides = {0: dim("b", max=64), 2: 32 * dim("h", min=2, max=64), 3: 32 * dim("w", min=2, max=64)}
    errors = []
    for free, shapes in (("sides", sides), ("batch", {0: sides[0]}), ("nothing", None)):
        if free == "sides" and (height != width or height % 32 or windows):
            continue
        try:
            asked = wide(model, pictures) if free == "sides" else pictures
            if opset and opset < DYNAMO and free == "sides" and asked is pictures:
                continue  # TorchScript takes a size that the network insists on as it is
            with torch.no_grad():
                program = write(model, pictures, shapes, opset, path)
                if program and asked is not pictures:
                    given = arrays(flat(program.module(check_guards=False)(asked)).values())
                    if off(arrays(flat(model(asked)).values()), given) > CLOSE:
                        raise ValueError("what was exported gives other numbers than the network")
                if opset:
                    confirm(path, [(of.numpy(), arrays(flat(model(of)).values())) for of in ([asked, asked[:1]] if shapes else [asked])])
            return program, asked, free
        except Exception as error:
            errors.append(f"{free}: {type(error).__name__}: {str(error).strip().splitlines()[0][:200]}")
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
                number = args[1] if len(args) > 1 and isinstance(args[1], (int, float)) else None
                sixth = number is not None and (number == 6 if name in ("div", "div_") else
                                                name in ("mul", "mul_") and abs(6 * number - 1) < 1e-6)
                if name in ("sigmoid", "sigmoid_", "hardsigmoid", "hardsigmoid_") or sixth:
                    self.gates.append(out.float().numpy().copy())
                elif name in ("_softmax", "_safe_softmax"):
                    self.attention.append(out.float().numpy().copy())
                elif name == "_scaled_dot_product_flash_attention_for_cpu" and args[0].shape[-2] == args[1].shape[-2]:
                    scale = kwargs.get("scale") or args[0].shape[-1] ** -0.5
                    scores = args[0] @ args[1].transpose(-2, -1) * scale
                    mask = kwargs.get("attn_mask")
                    self.attention.append((scores if mask is None else scores + mask).softmax(-1).float().numpy())
                return out
        return Mode()


def flat(output, name="output"):
    """The tensors of an output by the names that Python has for them."""
    import torch
    if isinstance(output, torch.Tensor):
        return {name: output}
    items = output.items() if isinstance(output, dict) else enumerate(output) if isinstance(output, (list, tuple)) else ()
    return {key: value for part, inner in items for key, value in flat(inner, f"{name}[{part!r}]").items()}


def arrays(tensors):
    return [of.detach().float().numpy() for of in tensors]


def off(own, told):
    """The largest difference, of the largest number."""
    scale = max((float(abs(of).max()) for of in own if of.size), default=0) or 1
    return max((float(abs(of - other).max()) if of.shape == other.shape else float("inf")
                for of, other in zip(own, told) if of.size), default=0) / scale


def at_value(program, pictures, node_name):
    """The network's output, and what a node of the program gives."""
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
    return run.run(pictures), [run.leaf]


def at_module(model, pictures, path):
    """The network's output, and what a module gives whenever it is called; TorchScript may have cut its path. Nothing without a module."""
    import torch
    given = []

    def hook(_, __, out):
        given.extend(flat(out).values())
        return out * 1 if isinstance(out, torch.Tensor) else None  # which operations in place may write to

    found = [module for name, module in model.named_modules() if path and f".{name}".endswith(f".{path}")]
    if not found:
        return None, []
    handles = [module.register_forward_hook(hook) for module in found]
    output = model(pictures)
    for handle in handles:
        handle.remove()
    return output, given


def autograd_cams(output, features, about):
    """Grad-CAM of the first picture at features, by PyTorch; and the scores."""
    import torch
    scores = list(flat(output).values())[about["classes"]]
    scores = scores.reshape(scores.shape[0], -1)[0]
    score = scores[about["class"]]
    slopes = torch.autograd.grad(torch.logit(score) if about["outputs"] == "probabilities" else score, features, allow_unused=True)
    cams = [cam(*arrays([of[0], slope[0]]), about["form"]) for of, slope in zip(features, slopes) if slope is not None]
    return cams, scores.detach().numpy()


def cam(features, slope, form):
    """Grad-CAM of one picture; nothing if its features are of another form."""
    features, slope = features.astype(float), slope.astype(float)
    if form["kind"] == "tokens":
        rows, columns = form["grid"]
        cut = slice(form["before"], form["before"] + rows * columns)
        if features.ndim != 2 or len(features[cut]) != rows * columns:
            return None
        features, slope = (of[cut].T.reshape(-1, rows, columns) for of in (features, slope))
    elif features.ndim != 3:
        return None
    elif form["kind"] == "channels last":
        features, slope = (of.transpose(2, 0, 1) for of in (features, slope))
    return (slope.mean((1, 2), keepdims=True) * features).sum(0).clip(0)


def compare_cams(row, cams, scores, told, about):
    """How far off the nearest of cams is, of its peak, goes to the row, and whether the class told is the likeliest; or that none fits."""
    fit = [theirs for theirs in cams if theirs is not None and theirs.shape == told["gradcam"].shape]
    if fit:
        row["gradcam"] = min(float(abs(theirs - told["gradcam"]).max() / (theirs.max() or 1)) for theirs in fit)
        row["class"] = bool(scores.max() - scores[about["class"]] <= CLOSE * abs(scores).max())
    else:
        row["no_cam"] = "no module with such maps"


def reductions(gate):
    """What this crate may show of a gate, by kind."""
    if gate.ndim == 2:
        return {"channel": gate}
    if gate.ndim != 4:
        return {"channel": gate.reshape(gate.shape[0], -1)}
    return {"channel": gate.mean((2, 3)), "spatial": gate.mean(1), "coordinate": gate}


def with_parts(recorded):
    """The same, and their parts by channels, of which a network may make gates of their own."""
    for gate in recorded:
        yield gate
        if gate.ndim == 4:
            for count in {2, 3, 4, gate.shape[1]} - {0, 1}:
                yield from np.array_split(gate, count, axis=1) if gate.shape[1] % count == 0 and count <= 16 else ()


def nearest(told, recorded, kind):
    """The least largest difference of what was told from what was recorded."""
    best = float("inf")
    for gate in with_parts(recorded):
        of = reductions(gate).get(kind)
        if of is None:
            continue
        if kind == "coordinate":
            for other in recorded:
                if other.ndim == 4 and other.shape[1] == gate.shape[1] and gate.shape[3] == 1 and other.shape[2] == 1:
                    product = (gate * other).mean(1)
                    if product.shape == told.shape:
                        best = min(best, float(abs(product - told).max()))
        elif of.shape == told.shape:
            best = min(best, float(abs(of - told).max()))
    return best


def nearest_attention(told, recorded, index, batch):
    """The same of what patches receive, [heads, rows, columns], wherever they stand in the line of tokens."""
    heads, rows, columns = told.shape
    best = float("inf")
    for weights in recorded:
        if weights.shape[-1] != weights.shape[-2] or weights.size % (batch * heads * weights.shape[-1] ** 2):
            continue
        tokens = weights.shape[-1]
        of = weights.reshape(batch, -1, tokens, tokens)[index]
        for start in range(max(tokens - rows * columns + 1, 0) if of.shape[0] == heads else 0):
            cut = slice(start, start + rows * columns)
            received = of[:, cut, cut].mean(1) * tokens
            best = min(best, float(abs(received.reshape(told.shape) - told).max()))
    return best


def ask(answers, net, pictures, device="cpu"):
    """What this crate tells of pictures, and about the network; or nothing, and why."""
    from safetensors.numpy import load_file, save_file
    files = [net, f"{net}.in", f"{net}.out"]
    save_file({"input": np.ascontiguousarray(pictures)}, files[1])
    process = subprocess.run([answers, *files, "auto", device], capture_output=True, text=True, check=False,
                             env=os.environ | {"OMP_NUM_THREADS": "1"})
    if process.returncode:
        return None, process.stderr.strip()[-600:]
    return load_file(files[2]), json.loads(process.stdout.splitlines()[-1])


def compare(row, told, about, own, gates, attention, sides):
    """How far off outputs, gates and attention are goes to the row, and which maps are of another shape than the pictures."""
    row |= {key: about[key] for key in ("nodes", "place", "place_value", "left_out")}
    row["maps"] = {kind: sum(name.startswith(f"{kind}:") and name.endswith("/0") for name in told)
                   for kind in ("channel", "spatial", "coordinate", "patch", "cls")}
    missing = sorted(set(own) - set(told))
    if missing:
        row["failed"] = f"outputs {sorted(name for name in told if name.startswith('output'))}, and not {sorted(own)}"
        return
    row["output"] = off(own.values(), [told[of].astype(np.float32) for of in own])
    maps = {name: value.shape[-2:] for name, value in told.items() if name.split(":")[0] in ("spatial", "coordinate", "patch", "gradcam")}
    row["misshapen"] = [name for name, (rows, columns) in maps.items() if abs(rows * sides[1] - columns * sides[0]) > max(sides)]
    batch = len(next(iter(own.values())))
    worst = {"gate": 0.0, "attention": 0.0}
    for told_name, value in told.items():
        kind = told_name.split(":")[0]
        if kind not in ("channel", "spatial", "coordinate", "patch"):
            continue
        index = int(told_name.rsplit("/", 1)[1])
        if kind == "patch":
            worst["attention"] = max(worst["attention"], nearest_attention(value, attention, index, batch))
            continue
        recorded = [gate[index:index + 1] for gate in gates if gate.shape[:1] == (batch,)]
        worst["gate"] = max(worst["gate"], nearest(value[None], recorded, kind))
    row["gate"], row["sigmoids"], row["attention"] = worst["gate"], len(gates), worst["attention"]


def one(name, answers, device):
    """One network: a row of the results."""
    import torch
    from any_network_list import build
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)  # one operation, which shows nothing of its attention
    torch.manual_seed(zlib.crc32(name.encode()))
    start, row = time.monotonic(), {"name": name}
    network, _, opset = name.partition("@onnx")
    opset = int(opset) if opset else None
    model, size = build(network, opset)
    randomise(model.eval())
    with tempfile.TemporaryDirectory() as folder:
        net = f"{folder}/net.{'onnx' if opset else 'pt2'}"
        program, pictures, row["free"] = export(model, size, any(part in name for part in WINDOWS), opset, net)
        row["export_s"] = round(time.monotonic() - start, 1)
        recorder = Recorder()
        with torch.no_grad(), recorder:
            own = flat(model(pictures))
        told, about = ask(answers, net, pictures.numpy(), device)
    if told is None:
        return row | {"failed": about}
    compare(row, told, about, dict(zip(numbered(own) if opset else own, arrays(own.values()))), recorder.gates, recorder.attention,
            pictures.shape[2:])
    if "failed" not in row and about["place_value"] and "gradcam" in told:
        output, features = at_module(model, pictures, about["place"]) if opset else at_value(program, pictures, about["place_value"])
        compare_cams(row, *(autograd_cams(output, features, about) if features else ([], None)), told, about)
    if verdict(row) == "WRONG":
        row["rounding"] = rounding(model, pictures, own, recorder, about)
    row["seconds"] = round(time.monotonic() - start, 1)
    return row


def rounding(model, pictures, own, recorder, about):
    """How far PyTorch's own numbers in 32 bits are from those in 64: some networks of random weights make much of rounding."""
    import torch

    def cams(pictures):
        output, features = at_module(model, pictures, about["place"])
        return autograd_cams(output, features, about)[0] if features else []

    exact, of_32 = Recorder(), cams(pictures)
    try:
        with torch.no_grad(), exact:
            outputs = flat(model.double()(pictures.double()))
        of_64 = cams(pictures.double())
    except RuntimeError:  # which makes numbers of 32 bits in its code
        return {}
    pairs = lambda one, other: [pair for pair in zip(one, other) if pair[0] is not None and pair[0].shape == pair[1].shape]
    received = lambda weights: weights.mean(-2) * weights.shape[-1]
    most = lambda differences: max(map(float, differences), default=0.0)
    return {"output": off(arrays(outputs.values()), arrays(own.values())),
            "gate": most(abs(one - other).max() for one, other in pairs(exact.gates, recorder.gates)),
            "attention": most(abs(received(one) - received(other)).max() for one, other in pairs(exact.attention, recorder.attention)),
            "gradcam": most(abs(one - other).max() / (one.max() or 1) for one, other in pairs(of_64, of_32))}


def verdict(row):
    """`rounding`: off by more than a right one, but by no more than a few times what PyTorch's own f32 is from its f64."""
    if "failed" in row:
        return "failed"
    parts, noise = ("output", "gate", "attention", "gradcam"), row.get("rounding", {})
    if row.get("misshapen") or not all(row.get(of, 0) <= max(CLOSE, ROUNDING * noise.get(of, 0)) for of in parts):
        return "WRONG"
    # A class that rounding makes the likeliest is none that is wrong.
    near = all(row.get(of, 0) <= CLOSE for of in parts)
    return ("right" if row.get("class", True) else "WRONG") if near else "rounding"


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
        place = " ".join(filter(None, [row["place"], f"({row['no_cam']})" if "no_cam" in row else "",
                                       "(maps of another shape than the pictures)" if row.get("misshapen") else ""]))
        lines.append(f"| {row['name']} | {row['free']} | {row['nodes']} | {gates} | {maps['patch'] or ''} | {place} | "
                     f"{number(row, 'output')} | {number(row, 'gate')} | {number(row, 'attention')} | {number(row, 'gradcam')} | {verdict(row)} |")
    kinds = {kind: [verdict(row) for row in rows if kind in (row["name"].partition("@")[2], "all")]
             for kind in ["all", *sorted({row["name"].partition("@")[2] for row in rows} - {""})]}
    count = lambda given: ", ".join(f"{given.count(of)} {of}" for of in VERDICTS)
    return "\n".join([*lines, "", *(f"{kind}: {count(given)}, of {len(given)}" for kind, given in kinds.items())])


def onnx_names():
    import any_network_list as lists
    return [f"{name}@onnx{opset}" for opset, names in lists.ONNX.items() for name in names.split()]


def pt2_names():
    import any_network_list as lists
    return [*(f"own/{name}" for name in lists.OWN), *(f"torchvision/{name}" for name in [*lists.VISION, *lists.SEGMENT]),
            *(f"pytorchcv/{name}" for name in lists.CV), *(f"timm/{name}" for name in (ROOT / "scripts/any_network_timm.txt").read_text().split())]


def more_names():
    import any_network_more
    return any_network_more.names()


def alone(script, name, args):
    """The row of one network, from a process of its own."""
    command = [sys.executable, script, "--one", name, "--answers", args.answers, "--device", args.device]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=args.seconds, check=False)
    except subprocess.TimeoutExpired:
        return {"name": name, "failed": f"took over {args.seconds} s"}
    if process.returncode:
        return {"name": name, "failed": f"Python: {process.stderr.strip()[-600:]}"}
    return json.loads(process.stdout.splitlines()[-1])


def run(script, doc, kinds, one):
    """The networks that the command line asks for, each in a process of its own; then the table."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=kinds, default=next(iter(kinds)))
    parser.add_argument("--answers", default=str(ROOT / "target/release/examples/graph_answers"))
    parser.add_argument("--only", nargs="+", default=[], help="those whose names have one of these parts")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "target/any-network.jsonl")
    parser.add_argument("--seconds", type=int, default=120, help="the most for one network")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once; each takes one core, and a few GB")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where this crate runs them")
    parser.add_argument("--list", action="store_true", help="print the names alone")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one, args.answers, args.device)))
        return 0
    names = [name for name in kinds[args.kind]() if not args.only or any(part in name for part in args.only)]
    if args.list:
        print("\n".join(names))
        return 0
    args.results.parent.mkdir(parents=True, exist_ok=True)
    done = {}
    if args.results.exists():
        rows = map(json.loads, args.results.read_text().splitlines())
        done = {row["name"]: row for row in rows if row.get("device", "cpu") == args.device}
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        running = [pool.submit(alone, script, name, args) for name in names if name not in done]
        for row in map(concurrent.futures.Future.result, concurrent.futures.as_completed(running)):
            done[row["name"]] = row | {"device": args.device}
            with args.results.open("a") as out:
                out.write(json.dumps(done[row["name"]]) + "\n")
            print(f"{row['name']}: {verdict(row)}", file=sys.stderr, flush=True)
    rows = [done[name] for name in names]
    print(table(rows))
    return int(any(verdict(row) in ("WRONG", "failed") for row in rows))


if __name__ == "__main__":
    sys.exit(run(__file__, __doc__, {"pt2": pt2_names, "onnx": onnx_names, "more": more_names}, one))
