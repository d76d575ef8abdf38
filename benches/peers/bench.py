#!/usr/bin/env python3
"""This crate beside its peers, measured by turns in one run: ratios, targets, and whether they are met.

usage: bench.py [--quick] [--only ROW ...]

Builds the programs, checks that benches/peers/model.py computes what the crate does, measures, prints the table, and writes it
to target/bench/ as peers.md and, with every single measurement, as peers.json. On a machine that does something else besides,
the figures mean little: the share of the processors that others took is in the last column.
"""
import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import rows
from measure import Foreign, Unavailable

HEADER = ["row", "against", "ratio", "min", "median", "max", "n", "target", "met", "medians, ours : theirs", "note",
          "others' share of the CPU"]


def build(source=rows.ROOT, **environment):
    """The paths of cbam-run and of the worker, built from that source."""
    command = [os.environ.get("CARGO", "cargo"), "build", "--release", "--bin", "cbam-run", "--bench", "worker",
               "--message-format", "json-render-diagnostics"]
    messages = subprocess.run(command, cwd=source, env=os.environ | environment, check=True, text=True,
                              stdout=subprocess.PIPE).stdout.splitlines()
    paths = {}
    for message in map(json.loads, messages):
        if message.get("executable"):
            paths[message["target"]["name"]] = Path(message["executable"])
    return paths["cbam-run"], paths["worker"]


def light():
    """The path of the light build's one file."""
    subprocess.run([os.environ.get("CARGO", "cargo"), "build", "--release", "-p", "cbam-cli"], cwd=rows.ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", rows.ROOT / "target")) / "release" / "cbam"


def check(worker):
    """Ends the run if the network that the peers run is not ours."""
    photo = rows.ROOT / "assets" / "images" / "coffee.jpg"
    script = [sys.executable, rows.HERE / "model.py", "check", worker, photo]
    answer = subprocess.run(script, text=True, stdout=subprocess.PIPE)
    agreement = (answer.stdout.splitlines() or ["nothing said"])[-1]
    if answer.returncode != 0:
        sys.exit(f"model.py is not the crate's network: {agreement}")
    return agreement


def machine():
    """The processor, as the system names it, and the number of cores."""
    name = platform.processor() or platform.machine()
    try:
        info = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
        info = {key.strip(): value.strip() for key, value in info.items()}
        vectors = [flag for flag in ("avx2", "avx512f", "amx_tile") if flag in info.get("flags", "").split()]
        name = f"{info.get('model name', name)} ({', '.join(vectors)})"
    except OSError:
        pass
    return f"{os.cpu_count()} cores of {name}; {platform.system()} {platform.release()}; Python {platform.python_version()}"


def table(lines):
    """Lines of cells as a Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [HEADER, ["---"] * len(HEADER), *lines])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds and small folders: to see that all of it runs")
    parser.add_argument("--only", nargs="+", choices=rows.ROWS, default=list(rows.ROWS), metavar="ROW",
                        help=", ".join(rows.ROWS))
    args = parser.parse_args()
    scratch = rows.ROOT / "target" / "bench"
    scratch.mkdir(parents=True, exist_ok=True)
    run, worker = build()
    agreement = check(worker)
    bench = rows.Bench(run, light(), worker, scratch, args.quick)
    records, lines = [], []
    for name in args.only:
        print(f"{name} ...", file=sys.stderr, flush=True)
        ratios = []
        with Foreign() as foreign:
            try:
                ratios = rows.ROWS[name](bench)
            except Unavailable as error:
                bench.skipped.append((name, "all of it", str(error)))
        share = "?" if foreign.share is None else f"{100 * foreign.share:.0f} %"
        lines += [[*ratio.cells(), share] for ratio in ratios]
        records += [ratio.record() | {"others_share": foreign.share} for ratio in ratios]
    skipped = [f"- not measured: {row}, {side}: {why}" for row, side, why in dict.fromkeys(bench.skipped)]
    when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    facts = [f"- {machine()}", f"- {when}{', --quick' if args.quick else ''}",
             f"- model.py against the crate on coffee.jpg: {agreement}"]
    text = "\n".join([table(lines), "", *facts, *skipped]) + "\n"
    print(text)
    (scratch / "peers.md").write_text(text)
    report = {"machine": machine(), "when": when, "quick": args.quick, "agreement": agreement, "ratios": records,
              "skipped": bench.skipped}
    (scratch / "peers.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
