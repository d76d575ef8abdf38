#!/usr/bin/env python3
"""A folder of photos to their attention overlays by ONNX Runtime and OpenCV: the peer of `cbam-run FOLDER --out-dir OUT`.

usage: folder.py MODEL.onnx FOLDER OUT [--batch N] [--threads N | --processes N]

MODEL is the default network as model.py exports it, for the input size of FOLDER's photos. Each photo is decoded, resampled,
run, the mean of its spatial gates coloured and laid over it, and the result written as PNG with OpenCV's defaults.

By itself the network uses two threads, and so does OpenCV. With --threads or --processes so many photos are under way at a
time, each of them on one core (ONNX Runtime and OpenCV let go of Python's lock).
"""
import argparse
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

CORES = 2


def input_size(width, height):
    """Short side 224, long side the nearest multiple of 32, as cbam-run has it; width, height."""
    scale = 7 / min(width, height)
    return tuple(min(max(7, int(side * scale + 0.5)), 28) * 32 for side in (width, height))


def prepare(picture):
    """A picture as OpenCV has it to the network's input, [3, H, W]."""
    size = input_size(*picture.shape[1::-1])
    pixels = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(((pixels.astype(np.float32) - 127) / 128).transpose(2, 0, 1))


def read(path):
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        sys.exit(f"{path}: cannot be read")
    return picture


def draw(picture, gates, out):
    size = picture.shape[1::-1]
    heat = np.mean([cv2.resize(gate, size, interpolation=cv2.INTER_CUBIC) for gate in gates], axis=0)
    heat = cv2.normalize(heat, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
    overlay = cv2.addWeighted(picture, 0.5, cv2.applyColorMap(heat, cv2.COLORMAP_TURBO), 0.5, 0)
    if not cv2.imwrite(str(out), overlay):
        sys.exit(f"{out}: cannot be written")


class Runner:
    def __init__(self, model, threads):
        import onnxruntime as ort
        cv2.setNumThreads(threads)
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.gates = [output.name for output in self.session.get_outputs() if output.name.endswith(".spatial")]

    def run(self, paths, out):
        pictures = [read(path) for path in paths]
        pixels = np.stack([prepare(picture) for picture in pictures])
        gates = self.session.run(self.gates, {"pixels": pixels})  # each [N, H, W]
        for index, (path, picture) in enumerate(zip(paths, pictures)):
            draw(picture, [gate[index] for gate in gates], Path(out) / f"{path.stem}.png")


def run_share(model, paths, out, batch):
    """What one process of several does."""
    runner = Runner(model, 1)
    for first in range(0, len(paths), batch):
        runner.run(paths[first:first + batch], out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--batch", type=int, default=1)
    several = parser.add_mutually_exclusive_group()
    several.add_argument("--threads", type=int, default=1)
    several.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    paths = sorted(args.folder.glob("*.jpg"))
    args.out.mkdir(parents=True, exist_ok=True)
    if args.processes > 1:
        with ProcessPoolExecutor(args.processes) as pool:
            shares = [paths[first::args.processes] for first in range(args.processes)]
            for share in [pool.submit(run_share, args.model, share, args.out, args.batch) for share in shares]:
                share.result()
        return
    runner = Runner(args.model, 1 if args.threads > 1 else CORES)
    batches = [paths[first:first + args.batch] for first in range(0, len(paths), args.batch)]
    with ThreadPoolExecutor(args.threads) as pool:
        list(pool.map(lambda batch: runner.run(batch, args.out), batches))


if __name__ == "__main__":
    main()
