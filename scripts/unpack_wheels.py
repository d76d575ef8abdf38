#!/usr/bin/env python3
"""usage: unpack_wheels.py cpu|cuda FOLDER: takes from FOLDER/wheels what that part of libtorch needs."""
import pathlib
import shutil
import sys
import zipfile

part, folder = sys.argv[1], pathlib.Path(sys.argv[2])
CPU = {"libc10.so", "libtorch_cpu.so", "libgomp.so.1", "libcupti.so.13", "libcudart.so.13"}


def destination(name):
    """Where a member of a wheel belongs, or None."""
    path = pathlib.PurePosixPath(name)
    if name.endswith("/"):
        return None
    if part == "cpu" and name.startswith("torch/include/"):
        return folder / "include" / path.relative_to("torch/include")
    if path.parent.name != "lib" or ".so" not in path.name:
        return None
    if part == "cpu":
        return folder / "lib" / path.name if path.name in CPU else None
    # The CUDA part: every library that the CPU part and Python do not need.
    skip = CPU | {"libtorch.so", "libtorch_python.so", "libshm.so", "libtorch_global_deps.so"}
    return None if path.name in skip else folder / "lib" / path.name


for wheel in sorted((folder / "wheels").glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            target = destination(name)
            if target is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, open(target, "wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
    if part == "cuda":
        wheel.unlink()  # these are large: free the disk as we go

if part == "cpu":
    missing = [name for name in CPU if not (folder / "lib" / name).exists()]
    if missing:
        sys.exit(f"unpack_wheels.py: the wheels lack {', '.join(sorted(missing))}")
