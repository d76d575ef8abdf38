#!/usr/bin/env python3
"""Pictures a second on engines beside cbam-run alone, and beside pytorch-grad-cam on the same engine, by turns in one run.

usage: scale.py IMAGES [--program cbam] [--rounds N] [--times N] [--only NAME ...]

IMAGES is a tar archive or a folder of pictures. Each side does a quarter of them and then all, and what the rest took is what counts, so
that start-up is not in it. Writes the table to target/bench/scale.md. Needs the environment of `make test-python`.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
FILES = 8

RAY = """
import ray, sys, time
ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
data = ray.data.read_parquet(sys.argv[1])
"""
CBAM = RAY + """
import cbam.ray
cbam.ray.attend(data, "gradcam", actors=1, num_cpus=2).write_parquet(sys.argv[2])
"""
GRAD_CAM = RAY + """
class GradCam:
    def __init__(self):
        import timm, torch
        from pytorch_grad_cam import GradCAM
        torch.set_num_threads(1)
        self.model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
        self.cam = GradCAM(self.model, [self.model.bn2])

    def __call__(self, batch):
        import io, numpy, torch
        from PIL import Image
        made = []
        for image in batch["image"]:
            pixels = Image.open(io.BytesIO(image["bytes"])).convert("RGB").resize((224, 224))
            made.append(torch.from_numpy(numpy.asarray(pixels).copy()).permute(2, 0, 1) / 127 - 1)
        maps = numpy.concatenate([self.cam(of[None], None) for of in made])
        return {"key": batch["key"], "map": list(maps.reshape(len(maps), -1))}
data.map_batches(GradCam, batch_size=32, compute=ray.data.ActorPoolStrategy(min_size=1), num_cpus=1).write_parquet(sys.argv[2])
"""
DAFT = """
import daft, sys
import cbam.daft
photos = daft.read_parquet(sys.argv[1] + "/*.parquet")
photos.select("key", cbam.daft.attend(photos["image"], "gradcam").unnest()).write_parquet(sys.argv[2])
"""


def pictures(source):
    """The files of a folder or a tar archive."""
    if source.is_dir():
        return {path.name: path.read_bytes() for path in sorted(source.rglob("*")) if path.is_file()}
    with tarfile.open(source) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def written(rows, folder):
    folder.mkdir()
    for file in range(FILES):
        pq.write_table(pa.Table.from_pylist(rows[file::FILES]), folder / f"{file}.parquet")
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--program", default=ROOT / "target" / "release" / "cbam")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--times", type=int, default=8, help="how often each picture is taken")
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    files = pictures(given.images)
    rows = [{"key": f"{time}/{name}", "image": {"bytes": of, "path": name}} for time in range(given.times) for name, of in files.items()]
    python = lambda program: lambda source, out: [sys.executable, "-c", program, source, out]
    sides = {
        "cbam-run": lambda source, out: [given.program, "run", source, "--out-parquet", out, "--map", "gradcam", "--quiet", "--threads", "2"],
        "cbam on Ray": python(CBAM),
        "cbam on Daft": python(DAFT),
        "pytorch-grad-cam on Ray": python(GRAD_CAM),
    }
    sides = {name: of for name, of in sides.items() if not given.only or name in given.only}
    rates = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        sets = [written(rows[: len(rows) // 4], scratch / "quarter"), written(rows, scratch / "all")]
        for _ in range(given.rounds):
            for name, command in sides.items():
                took = []
                for source in sets:
                    out = scratch / "out"
                    shutil.rmtree(out, ignore_errors=True)
                    begun = time.perf_counter()
                    subprocess.run([str(word) for word in command(source, out)], check=True, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env={**os.environ, "RAY_AUTH_MODE": "disabled"})
                    took.append(time.perf_counter() - begun)
                rates[name].append((len(rows) - len(rows) // 4) / (took[1] - took[0]))
                print(name, f"{took[0]:.1f} s, {took[1]:.1f} s, {rates[name][-1]:.1f}/s", flush=True)
    alone = statistics.median(rates.get("cbam-run", [float("nan")]))
    lines = [f"{len(rows)} pictures, {given.rounds} rounds by turns, two cores", "", "| | pictures/s | of cbam-run alone |", "|---|---|---|"]
    for name, of in rates.items():
        middle = statistics.median(of)
        lines.append(f"| {name} | {middle:.1f} ({min(of):.1f}–{max(of):.1f}) | {middle / alone:.2f} |")
    table = "\n".join(lines)
    (ROOT / "target" / "bench").mkdir(parents=True, exist_ok=True)
    (ROOT / "target" / "bench" / "scale.md").write_text(table + "\n")
    print(table)


if __name__ == "__main__":
    main()
