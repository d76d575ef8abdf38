#!/usr/bin/env python3
"""This revision beside an older one of this crate, by turns in one run: what became slower, and by how much.

usage: parent.py REV [--quick] [--only ROW ...]

The working tree is compared with the commit REV, which is built below target/parent-REV with the same libtorch, unless the tree is that
of REV. Both sides do the same work one after the other, first the one and then the other begins. A ratio is this revision's share of what the older one
takes (time, memory), of one round: above 1 is slower. Half of all rounds lie between the quartiles; a row is "slower" if even the lower
quartile is above 1, and "faster" if the upper one is below. The exit status is 1 if a row is slower. Needs no other peers, and nothing
but Python's own library. Writes the table to target/bench/parent.md and every measurement to parent.json.
"""
import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import bench
import rows
from measure import PAUSE, Foreign, Unavailable, Worker, launch, several

HEADER = ["row", "min", "lower quartile", "median", "upper quartile", "max", "n", "verdict", "medians, this : older",
          "others' share of the CPU"]
SHARED = ["build", "deps", ".fingerprint"]  # what of a build folder does not depend on this crate's sources
OWN = ("cbam", "libcbam", "suite-", "attention-", "forward-", "pipeline-", "worker-")


def git(*words):
    return subprocess.run(["git", *words], cwd=rows.ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def own(_folder, names):
    """What of a build folder is this crate's."""
    return [name for name in names if name.startswith(OWN)]


def build_older(commit):
    """The programs of a commit, from a copy of its files, in a build folder that starts with the dependencies built here."""
    folder = rows.ROOT / "target" / f"parent-{commit[:12]}"
    source, built = folder / "source", folder / "target"
    if not source.exists():
        partial = folder / "source.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        with subprocess.Popen(["git", "archive", commit], cwd=rows.ROOT, stdout=subprocess.PIPE) as archive:
            subprocess.run(["tar", "-x", "-C", partial], stdin=archive.stdout, check=True)
        if archive.returncode != 0:
            sys.exit(f"git archive {commit} failed")
        partial.rename(source)
    here = Path(os.environ.get("CARGO_TARGET_DIR", rows.ROOT / "target")) / "release"
    for name in SHARED:
        if (here / name).is_dir() and not (built / "release" / name).exists():
            shutil.copytree(here / name, built / "release" / name, symlinks=True, ignore=own)
    environment = {"CARGO_TARGET_DIR": str(built)}
    if "LIBTORCH_USE_PYTORCH" not in os.environ:
        environment["LIBTORCH"] = os.environ.get("LIBTORCH", str(rows.ROOT / "libtorch"))
    return bench.build(source, **environment)


def unchanged(commit):
    """Whether the working tree is what that commit has: what would be built is built already."""
    return not git("status", "--porcelain") and not git("diff", "--name-only", commit)


class Side:
    """One revision's programs."""

    def __init__(self, name, programs, scratch):
        self.name, self.scratch, (self.run, worker) = name, scratch, programs
        self.command = [worker]
        self.network, self.layers = Worker([worker]), Worker([worker])
        self.folders = None  # a row's own

    def out(self, name):
        return self.scratch / f"{self.name}-{name}"

    def cbam_run(self, *words, threads=rows.THREADS):
        return launch([self.run, *words, "--quiet", "--threads", threads])

    def folder(self, photos, threads=rows.THREADS):
        return self.cbam_run(photos, "--out-dir", self.folders.new("overlays"), threads=threads).milliseconds

    def overlay(self, name, photo):
        return several(lambda: self.network.ask(f"overlay {name} {photo} {self.out('overlay.png')}"), 3)


@dataclass
class Row:
    """What each side's measurement is: a function of the side that makes the function to call once a round."""

    title: str
    unit: str
    measure: object
    rounds: int


def table_of_rows(photos, large, count, quick):
    """Every row, by its name on the command line."""
    photo = photos / "0000.jpg"
    many = (lambda full: 3) if quick else (lambda full: full)
    ask = lambda worker, line, times: lambda side: several(lambda: getattr(side, worker).ask(line), times)
    cold = lambda picture: lambda side: lambda: side.cbam_run(picture, "--overlay", side.out("cold.png")).milliseconds
    folder = lambda threads: lambda side: lambda: side.folder(photos, threads)
    gain = lambda side: lambda: side.folder(photos, 2) / side.folder(photos, 1)
    peak = lambda picture: lambda side: lambda: side.cbam_run(picture, "--overlay", side.out("peak.png")).peak / 1e6
    folder_peak = lambda side: lambda: side.cbam_run(photos, "--out-dir", side.folders.new("overlays")).peak / 1e6
    return {
        "cold": [Row("cold start, one 500×375 photo → overlay on disk", "ms", lambda side: several(cold(photo)(side), 3), many(30))],
        "forward": [Row(f"forward of the default network, batch {batch}", "ms", ask("network", f"forward {batch} 224 224", times),
                        many(30)) for batch, times in ((1, 10), (8, 2))],
        "cbam": [Row(f"CBAM block, {list(size)}", "ms", ask("layers", "cbam {} {} {} {}".format(*size), 10), many(30))
                 for size in rows.CBAM],
        "patch": [Row("patch attention, 448-pixel input, weights included", "ms", ask("layers", "patch 448 448", 10), many(30))],
        "folder": [Row(f"{count} photos → overlays", "ms", folder(2), many(12))],
        "large": [Row("one 12 MP photo → overlay, network loaded", "ms",
                      lambda side: several(lambda: side.network.ask(f"overlay fused {large} {side.out('large.png')}"), 1), many(15)),
                  Row("one 12 MP photo → overlay, cold start", "ms", cold(large), many(15))],
        "memory": [Row("peak memory, one photo", "MB", peak(photo), many(12)),
                   Row("peak memory, one 12 MP photo", "MB", peak(large), many(12)),
                   Row(f"peak memory, {count} photos", "MB", folder_peak, many(8))],
        "threads": [Row(f"{count} photos on one thread", "ms", folder(1), many(8)),
                    Row(f"2 threads' share of one thread's time, {count} photos", "", gain, many(8))],
        "explain": [Row(f"--map {name}, a 500×375 photo → overlay, network loaded", "ms",
                        lambda side, name=name: side.overlay(name, photo), many(30)) for name in ("gradcam", "eigencam")],
    }


def pictures(side, scratch, count):
    """A folder of photos and a large one: those of bench-peers if they are there, else the worker's own."""
    photos, large = scratch / f"photos-{count}", scratch / "large.jpg"
    if len(list(photos.glob("*.jpg"))) != count or not large.exists():
        photos, large = scratch / f"made-{count}", scratch / "made-large.jpg"
        side.layers.ask(f"photos {photos} {count}")
        side.layers.ask(f"large {large}")
    return photos, large


def by_turns(measures, rounds):
    """Each round measures both; who begins alternates. The first round warms up and does not count. Ends the program if this
    revision cannot be measured."""
    taken = [[], []]
    for number in range(rounds + 1):
        for which in (0, 1) if number % 2 else (1, 0):
            time.sleep(PAUSE)
            try:
                value = measures[which]()
            except Unavailable as error:
                if which == 0:
                    sys.exit(f"this revision: {error}")
                raise
            if number > 0:
                taken[which].append(value)
    return taken


def line(row, taken, share, quick):
    """The cells of a row, and its record."""
    ratios = [this / older for this, older in zip(*taken, strict=True)]
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    verdict = "slower" if low > 1 else "faster" if high < 1 else "same"
    if quick:
        verdict = "–"  # three rounds judge nothing
    spread = [f"{value:.3f}" for value in (min(ratios), low, median, high, max(ratios))]
    this, older = (f"{statistics.median(values):.4g}" for values in taken)
    cells = [row.title, *spread, str(len(ratios)), verdict, f"{this} : {older} {row.unit}".rstrip(),
             "?" if share is None else f"{100 * share:.0f} %"]
    return cells, {"row": row.title, "unit": row.unit, "this": taken[0], "older": taken[1], "ratios": ratios,
                   "quartiles": [low, median, high], "verdict": verdict, "others_share": share}


def main():
    names = list(table_of_rows(Path(), Path(), 0, True))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rev", metavar="REV", help="the commit to compare with")
    parser.add_argument("--quick", action="store_true", help="three rounds and a small folder: to see that all of it runs")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="ROW", help=", ".join(names))
    args = parser.parse_args()
    try:
        commit = git("rev-parse", "--verify", "--quiet", f"{args.rev}^{{commit}}")
    except subprocess.CalledProcessError:
        parser.error(f"{args.rev} is no commit of this repository")
    state = git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain", "-uno") else "")
    scratch = rows.ROOT / "target" / "bench"
    scratch.mkdir(parents=True, exist_ok=True)
    this = bench.build()
    sides = [Side("this", this, scratch), Side("older", this if unchanged(commit) else build_older(commit), scratch)]
    count = 60 if args.quick else 500
    photos, large = pictures(sides[0], scratch, count)
    by_name = table_of_rows(photos, large, count, args.quick)
    lines, records, missing = [], [], []
    for row in (row for name in args.only for row in by_name[name]):
        print(f"{row.title} ...", file=sys.stderr, flush=True)
        for side in sides:
            side.folders = rows.Folders(scratch)  # the last row's are deleted
        with Foreign() as foreign:
            try:
                taken = by_turns([row.measure(side) for side in sides], row.rounds)
            except Unavailable as error:  # the older one may not know a row that is new
                missing.append(f"- not measured: {row.title}: {error}")
                continue
        cells, record = line(row, taken, foreign.share, args.quick)
        lines.append(cells)
        records.append(record)
    when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    slower = [record["row"] for record in records if record["verdict"] == "slower"]
    facts = [f"- this: {state}; older: {commit[:12]}, {git('log', '-1', '--format=%s', commit)}", f"- {bench.machine()}",
             f"- pictures: {photos.name} and {large.name}, in target/bench", f"- {when}{', --quick: too few rounds to judge' if args.quick else ''}",
             f"- slower beyond their spread: {', '.join(slower) or 'none'}"]
    table = ["| " + " | ".join(cells) + " |" for cells in [HEADER, ["---"] * len(HEADER), *lines]]
    text = "\n".join([*table, "", *facts, *missing]) + "\n"
    print(text)
    (scratch / "parent.md").write_text(text)
    report = {"machine": bench.machine(), "when": when, "quick": args.quick, "this": state, "older": commit, "rows": records,
              "missing": missing}
    (scratch / "parent.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
