#!/usr/bin/env python3
"""Packs what scripts/gpu-check.sh needs on a machine without Rust and without a network: the programs, the test binary and the bench
worker, stripped, with the files that they read.

usage: gpu_check_bundle.py OUT.tar.xz

The bundled weights lie in most of these programs: the archive's dictionary is larger than all of them, so they take their room once.
"""
import json
import lzma
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT = 24 << 20
PROGRAMS = ["cbam-run", "cbam-train", "cbam-eval", "cbam-weights", "cbam-view", "suite", "worker", "graph_answers"]
FILES = ["assets/images", "assets/weights/efficientnet-lite0.safetensors", "assets/weights/efficientnet-lite0-attention.safetensors",
         "tests/golden/attention", "tests/golden/graph", "tests/golden/torchscript", "benches/peers", "scripts/gpu_check.py", "scripts/any_network.py",
         "scripts/any_network_list.py", "scripts/any_network_more.py", "scripts/any_network_timm.txt"]


def built():
    """The paths of the programs, built, by name."""
    cargo, paths = os.environ.get("CARGO", "cargo"), {}
    for words in (["build", "--release", "--bins", "--bench", "worker", "--example", "graph_answers"], ["test", "--release", "--test", "suite", "--no-run"]):
        command = [cargo, *words, "--message-format", "json-render-diagnostics"]
        output = subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout
        for message in map(json.loads, output.splitlines()):
            if message.get("executable") and message["target"]["name"] in PROGRAMS:
                paths[message["target"]["name"]] = message["executable"]
    missing = [name for name in PROGRAMS if name not in paths]
    if missing:
        sys.exit(f"gpu_check_bundle.py: cargo did not build {', '.join(missing)}")
    return paths


def clean(member):
    """Without owners, and without what Python leaves."""
    if "__pycache__" in member.name:
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def pack(path):
    """Builds everything and writes the archive."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 256 << 20}]
    with tempfile.TemporaryDirectory() as folder, lzma.open(path, "wb", filters=filters) as packed, \
            tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        for name, program in built().items():
            stripped = Path(folder) / name
            subprocess.run(["strip", "-o", stripped, program], check=True)
            archive.add(stripped, f"gpu-check/bin/{name}", filter=clean)
        for name in FILES:
            archive.add(ROOT / name, f"gpu-check/{name}", filter=clean)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    try:
        pack(partial)
        size = partial.stat().st_size
        if size > LIMIT:
            sys.exit(f"gpu_check_bundle.py: {size / (1 << 20):.1f} MiB, over the {LIMIT >> 20} MiB that are easily carried")
        partial.rename(out)
    finally:
        partial.unlink(missing_ok=True)
    print(f"{out}: {size / (1 << 20):.1f} MiB; carry scripts/gpu-check.sh beside it")


if __name__ == "__main__":
    main()
