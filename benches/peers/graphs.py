#!/usr/bin/env python3
"""Networks by their graphs beside PyTorch and ONNX Runtime, one picture of 224×224, two threads, measured by turns in one run.

usage: graphs.py [--rounds 30] [--only NAME ...] [--device cpu|cuda] [--worker PROGRAM]

Builds the worker of benches/worker.rs, unless one is named. Each network gets random weights, is exported by torch.export and to ONNX
(set 17), and runs in a process of each peer: eager PyTorch with the layouts NCHW and NHWC, and on a CPU ONNX Runtime. A round asks every
peer once, in an order that is drawn; the ratio of a round is ours to the peer's. Prints a table, and writes it and every measurement to
target/bench/graphs.md and graphs.json.
"""
import argparse
import json
import random
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "target/bench/graphs"
NETWORKS = ["torchvision/resnet18", "torchvision/resnet50", "torchvision/mobilenet_v2", "torchvision/mobilenet_v3_large",
            "torchvision/efficientnet_b0", "torchvision/densenet121", "torchvision/regnet_y_400mf", "torchvision/convnext_tiny",
            "timm/vit_tiny_patch16_224", "own/blocks"]
PEERS = {"cpu": ["eager", "channels_last", "onnxruntime"], "cuda": ["eager", "channels_last"]}
THREADS = 2


def network(name):
    """It, and a picture for it; the same numbers in every process."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import torch
    from any_network import randomise
    from any_network_list import build
    warnings.filterwarnings("ignore")
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model, _ = build(name)
    randomise(model.eval())
    return model, torch.randn(1, 3, 224, 224)


def paths(name):
    stem = FOLDER / name.replace("/", "-")
    return stem.with_suffix(".pt2"), stem.with_suffix(".onnx")


def export(name, device):
    import torch
    pt2, onnx = paths(name)
    FOLDER.mkdir(parents=True, exist_ok=True)
    model, picture = network(name)
    torch.export.save(torch.export.export(model, (picture,)), pt2)
    if "onnxruntime" in PEERS[device]:
        torch.onnx.export(model, (picture,), onnx, dynamo=False, opset_version=17, input_names=["input"])


def serve(peer, name, device):
    """Answers each line with the milliseconds of one run."""
    import torch
    model, picture = network(name)
    if peer == "onnxruntime":
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(paths(name)[1], options, providers=["CPUExecutionProvider"])
        given = {"input": picture.numpy()}
        run = lambda: session.run(None, given)
    else:
        if peer == "channels_last":
            model, picture = (of.to(memory_format=torch.channels_last) for of in (model, picture))
        model, picture = model.to(device), picture.to(device)
        run = lambda: (model(picture), torch.cuda.synchronize() if device == "cuda" else None)
    with torch.inference_mode():
        for _ in range(3):
            run()
        for _ in sys.stdin:
            start = time.perf_counter()
            run()
            print("ok", 1e3 * (time.perf_counter() - start), flush=True)


class Peer:
    def __init__(self, command, line):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.line = line

    def run(self):
        time.sleep(0.05)  # until the threads of the peer before it sleep
        self.process.stdin.write(f"{self.line}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer or answer[0] != "ok":
            sys.exit(f"{self.process.args}: {' '.join(answer)}")
        return float(answer[1])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(worker, name, rounds, device):
    this = [sys.executable, __file__, "--device", device]
    subprocess.run([*this, "--export", name], check=True)
    peers = {peer: Peer([*this, "--serve", peer, name], "go") for peer in PEERS[device]}
    peers["ours"] = Peer([worker, device, "f32", "alone"], f"graph {paths(name)[0]} 224 224")
    times = {peer: [] for peer in peers}
    order = list(peers)
    for peer in order * 3:
        peers[peer].run()
    draw = random.Random(0)
    for _ in range(rounds):
        for peer in draw.sample(order, len(order)):
            times[peer].append(peers[peer].run())
    for peer in peers.values():
        peer.close()
    return times


def row(name, times):
    ratio = lambda peer: [ours / theirs for ours, theirs in zip(times["ours"], times[peer])]
    eager = min(("eager", "channels_last"), key=lambda peer: statistics.median(times[peer]))
    low, middle, high = statistics.quantiles(ratio(eager), n=4)
    cells = [f"{statistics.median(times[peer]):.1f}" if peer in times else "–" for peer in ("ours", *PEERS["cpu"])]
    to_onnx = f"{statistics.median(ratio('onnxruntime')):.2f}" if "onnxruntime" in times else "–"
    return f"| {name} | {' | '.join(cells)} | {middle:.2f} ({low:.2f} … {high:.2f}) | {to_onnx} |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--device", choices=list(PEERS), default="cpu")
    parser.add_argument("--worker", type=Path)
    parser.add_argument("--export")
    parser.add_argument("--serve", nargs=2)
    arguments = parser.parse_args()
    if arguments.export:
        return export(arguments.export, arguments.device)
    if arguments.serve:
        return serve(*arguments.serve, arguments.device)
    worker = arguments.worker
    if not worker:
        from bench import build
        _, worker = build()
    names = [name for name in NETWORKS if any(part in name for part in arguments.only)]
    lines = ["| network | ours, ms | eager | eager, NHWC | ONNX Runtime | ours to the better eager (quartiles) | ours to ONNX Runtime |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    print("\n".join(lines), flush=True)
    every = {}
    for name in names:
        every[name] = measure(worker, name, arguments.rounds, arguments.device)
        lines.append(row(name, every[name]))
        print(lines[-1], flush=True)
    (FOLDER.parent / "graphs.md").write_text("\n".join(lines) + "\n")
    (FOLDER.parent / "graphs.json").write_text(json.dumps(every))


if __name__ == "__main__":
    main()
