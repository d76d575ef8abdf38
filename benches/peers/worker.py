#!/usr/bin/env python3
"""One peer's side of the comparison: reads one command a line, answers one line each, as benches/worker.rs does.

usage: worker.py PEER [DEVICE [PRECISION]]

PEER, how the default network of model.py is run: eager, channels_last, frozen (TorchScript), compile (torch.compile) or
onnxruntime. DEVICE: cpu (default) or cuda. PRECISION: f32 (default) or f16, then with channels_last. Commands, with milliseconds in answer:

    forward BATCH HEIGHT WIDTH   the network, pixels to logits and maps
    cbam N C H W                 timm's CbamModule (eager)
    patch HEIGHT WIDTH           stage 5's patch attention by PyTorch's fused kernel, no weights (eager)
    overlay MAP PHOTO OUT        a file to its overlay by pytorch-grad-cam; MAP is gradcam or eigencam (eager)
    decode PHOTO, encode PHOTO OUT   by OpenCV

Each call is made once untimed when its command is first seen: compilers, and memory that grows, are not what is compared.
"""
import contextlib
import functools
import os
import sys
import tempfile
import time
from pathlib import Path

THREADS = 2
PEERS = ["eager", "channels_last", "frozen", "compile", "onnxruntime"]


@functools.cache
def torch():
    import torch
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    return torch


@functools.cache
def cv2():
    import cv2
    cv2.setNumThreads(THREADS)
    return cv2


@functools.cache
def network(device, precision="f32"):
    import model
    net = model.load().to(device)
    return net.half().to(memory_format=torch().channels_last) if precision == "f16" else net


def forward(peer, device, precision, batch, height, width):
    """A function that runs the network on such a batch, whatever the peer needs for it made ready."""
    t = torch()
    if peer == "compile" and device == "cpu":
        compiler_at_hand()
    net, x = network(device, precision), t.randn(batch, 3, height, width).to(device)
    if precision == "f16":
        x = x.half().to(memory_format=t.channels_last)
    with t.inference_mode():
        net(x)  # the positions of that grid are then constants
    if peer == "onnxruntime":
        return onnxruntime(x)
    if peer == "channels_last":
        net, x = net.to(memory_format=t.channels_last), x.to(memory_format=t.channels_last)
    elif peer == "frozen":
        with t.inference_mode():
            net = t.jit.optimize_for_inference(t.jit.freeze(t.jit.trace(net, x, check_trace=False)))
    elif peer == "compile":
        net = t.compile(net, dynamic=False)

    def run():
        with t.inference_mode():
            net(x)
        if device != "cpu":
            t.cuda.synchronize()
    return run


def compiler_at_hand():
    from torch._inductor import cpp_builder
    try:
        cpp_builder.get_cpp_compiler()
    except Exception as error:
        raise RuntimeError("torch.compile needs a C++ compiler, and this machine has none") from error


def onnxruntime(x):
    import model
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "network.onnx")
        model.export(path, *x.shape[-2:])
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = x.numpy()
    return lambda: session.run(None, {"pixels": x})


def cbam(*size):
    from timm.layers.cbam import CbamModule
    t = torch()
    block, x = CbamModule(size[1]).eval(), t.randn(size)

    def run():
        with t.inference_mode():
            block(x)
    return run


def patch(height, width):
    t = torch()
    block = network("cpu").attention["stage5"].patch
    x = t.randn(1, block.norm.normalized_shape[0], height // 16, width // 16)

    def run():
        with t.inference_mode():
            block(x, need_weights=False)
    return run


@functools.cache
def explainer(name):
    from pytorch_grad_cam import EigenCAM, GradCAM

    class Logits(torch().nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x)[0]

    net = Logits(network("cpu")).requires_grad_(True)
    return {"gradcam": GradCAM, "eigencam": EigenCAM}[name](model=net, target_layers=[net.net.backbone.head_act])


def overlay(name, photo, out):
    import folder
    import numpy as np
    from pytorch_grad_cam.utils.image import show_cam_on_image
    explain = explainer(name)

    def run():
        picture = cv2().imread(photo, cv2().IMREAD_COLOR)
        cam = explain(torch().from_numpy(folder.prepare(picture)[None]), targets=None)[0]  # of the likeliest class
        cam = cv2().resize(cam, picture.shape[1::-1], interpolation=cv2().INTER_CUBIC).clip(0, 1)
        drawn = show_cam_on_image(picture.astype(np.float32) / 255, cam, colormap=cv2().COLORMAP_TURBO)
        assert cv2().imwrite(out, drawn), out
    return run


def decode(photo):
    with open(photo, "rb") as file:
        data = file.read()
    import numpy as np
    data = np.frombuffer(data, np.uint8)
    return lambda: cv2().imdecode(data, cv2().IMREAD_COLOR)


def encode(photo, out):
    picture = cv2().imread(photo, cv2().IMREAD_COLOR)
    return lambda: cv2().imwrite(out, picture)


def main():
    peer, device, precision = (sys.argv[1:] + ["cpu", "f32"][len(sys.argv) - 2:])[:3]
    if precision not in ("f32", "f16"):
        sys.exit(f"{precision} is neither f32 nor f16")
    if peer not in PEERS:
        sys.exit(f"{peer} is none of {', '.join(PEERS)}")
    sys.path.insert(0, str(Path(__file__).parent))

    @functools.cache
    def prepared(line):
        command, *words = line.split()
        if command == "forward":
            run = forward(peer, device, precision, *map(int, words))
        elif command in ("cbam", "patch"):
            run = {"cbam": cbam, "patch": patch}[command](*map(int, words))
        else:
            run = {"overlay": overlay, "decode": decode, "encode": encode}[command](*words)
        run()
        return run

    answers = sys.stdout
    for line in sys.stdin:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                run = prepared(line)
                start = time.perf_counter()
                run()
                taken = 1e3 * (time.perf_counter() - start)
            print(f"ok {taken:.6f}", file=answers, flush=True)
        except Exception as error:  # whatever it is, the driver is told, and goes on without this peer
            reason = " ".join(str(error).split())[:300]
            print(f"error {line.strip()}: {type(error).__name__}: {reason}", file=answers, flush=True)


if __name__ == "__main__":
    main()
