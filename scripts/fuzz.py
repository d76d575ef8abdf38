#!/usr/bin/env python3
"""Fuzzes every reader of bytes with libFuzzer and AddressSanitizer, and tells what came of it: `scripts/fuzz.py --seconds 60 png jpeg`.

Inputs that reach something new stay in target/fuzz/corpus, those that break something go to target/fuzz/found; exit status 1 if there
are any. A finding again: target/fuzz/MACHINE/release/TARGET FILE, which scripts/fuzz.py --build-only builds.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The longest input, the longest that one may take (in seconds), and the most memory (in MiB): of the process, and at once. A network is
# built of 20 MB of weights, a picture under the limits of fuzz/src/lib.rs takes 10 MB.
LONGEST, SLOWEST, MEMORY, AT_ONCE = 16_384, 10, 3072, 200
# A network without its numbers may be as large as any, and the numbers of a layer are made of nothing then.
MORE_AT_ONCE = {"network": 2048}


def targets():
    return sorted(path.stem for path in (ROOT / "fuzz/fuzz_targets").glob("*.rs"))


def build(folder, wanted):
    """Builds the targets: with a nightly compiler if there is one, or else as if the stable one were."""
    cargo, env = os.environ.get("CARGO", "cargo"), os.environ | {"CARGO_TARGET_DIR": str(folder)}
    nightly = [cargo, "+nightly"]
    if subprocess.run([*nightly, "--version"], capture_output=True, check=False).returncode != 0:
        nightly, env = [cargo], env | {"RUSTC_BOOTSTRAP": "1"}
    about = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    triple = re.search(r"^host: (\S+)", about, re.M)[1]
    one = wanted if len(wanted) == 1 else []
    subprocess.run([*nightly, "fuzz", "build", "--target", triple, *one], cwd=ROOT, env=env, check=True)
    return folder / triple / "release"


def fuzz(target, programs, folder, seconds):
    """Runs one target, and gives its row of the table."""
    corpus, found = folder / "corpus" / target, folder / "found" / target
    found.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    log, start = folder / f"{target}.log", time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        # A small quarantine, since memory counts; what C code lends out for good is no finding.
        env = os.environ | {"TMPDIR": scratch, "ASAN_OPTIONS": "quarantine_size_mb=16:detect_leaks=0", "RAYON_NUM_THREADS": "1"}
        options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-timeout={SLOWEST}", f"-report_slow_units={SLOWEST // 2}",
                   f"-rss_limit_mb={MEMORY}", f"-malloc_limit_mb={MORE_AT_ONCE.get(target, AT_ONCE)}", "-print_final_stats=1",
                   f"-artifact_prefix={found}/"]
        with open(log, "w", encoding="utf-8") as out:
            process = subprocess.Popen([programs / target, *options, corpus], stdout=out, stderr=out, env=env, cwd=scratch)
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
    cpu = usage.ru_utime + usage.ru_stime
    text = log.read_text(encoding="utf-8", errors="replace")
    runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", text) or re.findall(r"^#(\d+)\s", text, re.M)
    progress = re.findall(r"cov: (\d+) .*?corp: (\d+)/", text)
    edges, count = progress[-1] if progress else ("?", "?")
    new = sorted(set(found.iterdir()) - before)
    row = [target, f"{cpu / 60:.1f}", runs[-1] if runs else "0", edges, count, str(len(new))]
    print(f"{target}: {time.monotonic() - start:.0f} s, {len(new)} found, {log}", file=sys.stderr)
    return row, new


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(targets())}; all if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 1)), help="targets at a time")
    parser.add_argument("--build-only", action="store_true")
    args = parser.parse_args()
    wanted = args.targets or targets()
    if unknown := set(wanted) - set(targets()):
        sys.exit(f"no target {', '.join(sorted(unknown))}; there are {', '.join(targets())}")
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "fuzz"
    programs = build(folder, wanted)
    if args.build_only:
        return 0
    subprocess.run([sys.executable, ROOT / "fuzz/seeds.py", folder / "corpus"], check=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        done = list(pool.map(lambda target: fuzz(target, programs, folder, args.seconds), wanted))
    head = ["target", "CPU-minutes", "runs", "edges", "corpus", "crashes"]
    rows = [head, *(row for row, _ in done)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        print("  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths))))
    found = [path for _, paths in done for path in paths]
    for path in found:
        print(path)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
