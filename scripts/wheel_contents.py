#!/usr/bin/env python3
"""What is in a wheel: nothing that does not belong, nothing missing, no file that others cannot read, and not over 20 MB.

usage: wheel_contents.py WHEEL
"""
import re
import sys
import zipfile
from pathlib import Path

MOST_BYTES = 20_000_000
BELONGS = [r"cbam/\w+\.py", r"cbam/_cbam\.pyi", r"cbam/py\.typed", r"cbam/_cbam\.abi3\.so",
           r"cbam-[\w.]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/[\w.-]+)"]
MISSING = ["cbam/__init__.py", "cbam/py.typed", "cbam/_cbam.pyi", "cbam/_cbam.abi3.so"]
HERE = str(Path(__file__).resolve().parent.parent).encode()


def main(path):
    faults = []
    if path.stat().st_size > MOST_BYTES:
        faults.append(f"{path.stat().st_size} bytes are over {MOST_BYTES}")
    with zipfile.ZipFile(path) as wheel:
        for entry in wheel.infolist():
            name, mode = entry.filename, entry.external_attr >> 16 & 0o777
            if not any(re.fullmatch(pattern, name) for pattern in BELONGS):
                faults.append(f"{name} does not belong there")
            if mode & 0o444 != 0o444 or mode & 0o022:
                faults.append(f"{name} has the permissions {mode:o}")
            if HERE in wheel.read(entry):
                faults.append(f"{name} names the folder that it was built in")
        names = wheel.namelist()
        faults += [f"{name} is missing" for name in MISSING if name not in names]
        if not any(name.endswith("licenses/LICENSE-MIT") for name in names):
            faults.append("the licences are missing")
        programs = next((wheel.read(name).decode() for name in names if name.endswith("entry_points.txt")), "")
        faults += [f"{program} is no program of it" for program in ("cbam-run", "cbam-eval", "cbam-weights") if program not in programs]
    for fault in faults:
        print(f"{path.name}: {fault}", file=sys.stderr)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, {len(names)} files")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
