#!/usr/bin/env python3
"""What scripts/gpu-check.sh runs inside its unpacked bundle, over the libtorch of this Python's PyTorch.

usage: gpu_check.py [--device cuda|cpu] [--minutes 8] [--out FOLDER] [--parts tests maps graphs speed]

In this order, each part within its share of the time: the tests, the maps of the bundled photos on the device against the CPU, networks
by their graphs against PyTorch (where timm, torchvision and pytorchcv are), latency and images a second against PyTorch eager, then
against torch.compile. What the time did not suffice for is in the table as not run.
"""
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(os.environ["CBAM_ROOT"])
sys.path[:0] = [str(ROOT / "benches" / "peers"), str(ROOT / "scripts")]
from measure import Unavailable, Worker, interleave, several  # noqa: E402, the bundle's own

PARTS = ["tests", "maps", "graphs", "speed"]
EXACT = {"NVIDIA_TF32_OVERRIDE": "0"}
# The most that a map may be off, as a share of its largest value, and the least correlation.
MAPS = {"f32": (0.01, 0.999), "f16": (0.05, 0.99), "bf16": (1.0, 0.6)}


class Check:
    """The table, the clock, and where things lie."""

    def __init__(self, device, minutes, scratch):
        self.device, self.scratch, self.rows, self.failed = device, scratch, [], False
        self.start = time.monotonic()
        self.end = self.start + 60 * minutes

    def left(self):
        """Seconds."""
        return self.end - time.monotonic()

    def say(self, part, what, result, holds=None):
        """A line of the table; `holds` is None where nothing is judged."""
        self.failed |= holds is False
        verdict = {None: "–", True: "yes", False: "NO"}[holds]
        self.rows.append((part, what, result, verdict))
        print(f"{time.monotonic() - self.start:5.0f} s  {part}: {what}: {result} ({verdict})", file=sys.stderr, flush=True)


def facts(check):
    import torch
    check.say("machine", "PyTorch", f"{torch.__version__}, CUDA {torch.version.cuda}")
    if check.device == "cpu":
        check.say("machine", "GPU", "left alone: this run tries the check itself, on the CPU")
        return
    if not torch.cuda.is_available():
        print("gpu_check.py: PyTorch finds no GPU here; --device cpu tries the check itself", file=sys.stderr)
        sys.exit(2)
    major, minor = torch.cuda.get_device_capability()
    memory = torch.cuda.get_device_properties(0).total_memory / (1 << 30)
    check.say("machine", "GPU", f"{torch.cuda.get_device_name()}, {memory:.0f} GiB, compute capability {major}.{minor}")


def tests(check, seconds):
    """The test binary's CUDA tests, a line each; the one that takes all memory for itself afterwards."""
    end, alone = time.monotonic() + seconds, "out_of_memory"
    for name, words in (("the test binary", ["cuda::", "--skip", alone, "--test-threads", "4"]), (f"{alone}, alone", [alone])):
        log = check.scratch / f"tests-{len(words)}.log"
        status = run_tests(check, log, words, max(end - time.monotonic(), 60))
        text = log.read_text(errors="replace")
        seen = re.findall(r"^test cuda::(\S+) \.\.\. (ok|FAILED|ignored.*)$", text, re.MULTILINE)
        for test, result in sorted(seen):
            check.say("tests", test, result, {"ok": True, "FAILED": False}.get(result))
        if status != 0 or not seen:
            reasons = re.findall(r"panicked at [^\n]*\n([^\n]*)", text)
            check.say("tests", name, f"status {status}; {len(seen)} tests ended; {' / '.join(reasons)[:500]}", False)
        with open(check.scratch / "tests.log", "a") as whole:
            whole.write(text)


def run_tests(check, log, words, seconds):
    command = [ROOT / "bin" / "suite", *words, "--include-ignored"]
    environment = os.environ | EXACT | {"CBAM_TEST_DEVICE": check.device, "RUST_BACKTRACE": "0"}
    with open(log, "w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=check.scratch)
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return f"ended after {seconds:.0f} s"


def cbam_run(device, precision, folder, seconds):
    photos = sorted((ROOT / "assets" / "images").glob("*.jpg"))
    maps = "fused,spatial,patch,gradcam,layercam,eigencam"
    command = [ROOT / "bin" / "cbam-run", *photos, "--device", device, "--precision", precision, "--maps-dir", folder, "--json",
               f"{folder}.json", "--quiet", *[word for name in maps.split(",") for word in ("--map", name)]]
    done = subprocess.run(command, env=os.environ | EXACT, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          timeout=max(seconds, 1))
    if done.returncode != 0:
        raise Unavailable(done.stderr.strip()[-300:])
    return {str(path.relative_to(folder)): path for path in Path(folder).rglob("*.npy")}


def compare_maps(check, seconds):
    """Every map on the device, in each precision, against those of the CPU in f32."""
    import numpy as np
    end = time.monotonic() + seconds
    here = cbam_run("cpu", "f32", check.scratch / "maps-here", seconds)
    for precision, (most, least) in MAPS.items():
        what = f"{check.device} {precision} : cpu f32"
        if end < time.monotonic():
            check.say("maps", what, "not run: the time was up before")
            continue
        try:
            there = cbam_run(check.device, precision, check.scratch / f"maps-{precision}", end - time.monotonic())
        except (Unavailable, subprocess.TimeoutExpired) as error:
            check.say("maps", what, str(error), False)
            continue
        if set(here) != set(there) or not here:
            check.say("maps", what, f"other maps: {', '.join(sorted(set(here) ^ set(there))) or 'none'}", False)
            continue
        offs, alike = {}, {}
        for name, path in here.items():
            expected, got = np.load(path).astype(np.float64), np.load(there[name]).astype(np.float64)
            offs[name] = np.abs(expected - got).max() / max(np.abs(expected).max(), 1e-12)
            alike[name] = np.corrcoef(expected.ravel(), got.ravel())[0, 1] if expected.std() > 0 else 1.0
        worst, unlike = max(offs, key=offs.get), min(alike, key=alike.get)
        holds = bool(offs[worst] <= most and alike[unlike] >= least)
        check.say("maps", f"{what}, {len(here)} maps",
                  f"off by {offs[worst]:.2g} of the largest value at most ({worst}); correlation {alike[unlike]:.4f} at least ({unlike})",
                  holds)


def graphs(check, seconds):
    """As many networks of any_network.py's list as there is time for, a core each; then how fast some of them are."""
    from any_network import VERDICTS, verdict  # which wants NumPy
    results = check.scratch / "any-network.jsonl"
    words = ["--answers", ROOT / "bin" / "graph_answers", "--device", check.device, "--results", results, "--jobs", str(os.cpu_count())]
    _, log = ended([sys.executable, ROOT / "scripts" / "any_network.py", *words], 0.75 * seconds)
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    if not rows:
        check.say("graphs", "networks", f"not run: {log.strip()[-200:]}")
        return
    verdicts = [verdict(row) for row in rows]
    for row, of in zip(rows, verdicts):
        if of != "right":
            parts = [f"{part} {row[part]:.1e}" for part in ("output", "gate", "attention", "gradcam") if part in row]
            check.say("graphs", row["name"], row.get("failed", f"{of}: {', '.join(parts)}"))
    check.say("graphs", f"{len(rows)} networks", ", ".join(f"{verdicts.count(of)} {of}" for of in VERDICTS),
              verdicts.count("right") + verdicts.count("rounding") >= 0.95 * len(rows))
    words = ["--device", check.device, "--worker", ROOT / "bin" / "worker", "--rounds", "10", "--only", "resnet50", "mobilenet_v2", "vit_tiny"]
    _, log = ended([sys.executable, ROOT / "benches" / "peers" / "graphs.py", *words], 0.25 * seconds)
    for line in log.splitlines()[2:]:
        check.say("graphs", "ms, and ours to the better eager", line.strip("| "))


def ended(command, seconds):
    """Status and output of a program and of what it started, which may take so long."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=os.environ | EXACT)
        try:
            status = process.wait(timeout=max(seconds, 1))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
        log.seek(0)
        return status, log.read()


class Deadline:
    """Ends the workers that are still busy when the time is up; they are then not measured."""

    def __init__(self, seconds):
        self.over, self.timer = False, threading.Timer(max(seconds, 1), self.end)

    def end(self):
        self.over = True
        for process in Worker.live:
            process.kill()

    def __enter__(self):
        self.timer.start()
        return self

    def __exit__(self, *_):
        self.timer.cancel()


def speed(check, peer, batches, seconds, rounds):
    """Ours by turns with one peer: latency at batch 1, and images a second of each at its best batch."""
    precisions = ["f32", "f16"] if check.device == "cuda" else ["f32"]
    name = {"eager": "PyTorch eager", "compile": "torch.compile"}[peer]
    with Deadline(seconds) as deadline:
        for precision in precisions:
            if not deadline.over:
                speed_in(check, deadline, precision, peer, name, batches, rounds)
    if deadline.over:
        check.say("speed", f"against {name}", "the time was up before all of it was measured")


def speed_in(check, deadline, precision, peer, name, batches, rounds):
    sides = {"ours": Worker([ROOT / "bin" / "worker", check.device, precision]),
             "theirs": Worker([sys.executable, ROOT / "benches" / "peers" / "worker.py", peer, check.device, precision])}
    medians = {}
    for batch in batches:
        ask = f"forward {batch} 224 224"
        measures = {who: several(lambda side=side: side.ask(ask), 10 if batch == 1 else 3) for who, side in sides.items()}
        taken, missing = interleave(measures, rounds)
        if deadline.over:
            break
        for who, why in missing.items():
            what = f"{precision}, batch {batch}, {name if who == 'theirs' else 'ours'}"
            check.say("speed", what, f"not run: {why}", False if who == "ours" else None)
        medians[batch] = {who: statistics.median(values) for who, values in taken.items() if values}
    report(check, precision, name, medians)
    for side in sides.values():
        if side.process:
            side.process.kill()


def report(check, precision, name, medians):
    both = {batch: values for batch, values in medians.items() if len(values) == 2}
    if 1 in both:
        ours, theirs = both[1]["ours"], both[1]["theirs"]
        check.say("speed", f"{precision}, latency at batch 1, ours : {name}", f"{ours:.2f} : {theirs:.2f} ms, {theirs / ours:.2f} × as fast")
    many = {batch: values for batch, values in both.items() if batch > 1}
    if many:
        rate = {who: max((1e3 * batch / values[who], batch) for batch, values in many.items()) for who in ("ours", "theirs")}
        (ours, ours_at), (theirs, theirs_at) = rate["ours"], rate["theirs"]
        check.say("speed", f"{precision}, images/s at the best batch, ours : {name}",
                  f"{ours:.0f} (batch {ours_at}) : {theirs:.0f} (batch {theirs_at}), {ours / theirs:.2f} × as fast")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--minutes", type=float, default=8, help="the time there is (default: 8)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is to be done (default: all of it)")
    parser.add_argument("--out", type=Path, help="a folder for the table and the log of the tests")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        check = Check(args.device, args.minutes, Path(scratch))
        facts(check)
        if "tests" in args.parts:
            tests(check, 0.4 * check.left())
        if "maps" in args.parts:
            try:
                compare_maps(check, 0.3 * check.left())
            except (Unavailable, subprocess.TimeoutExpired) as error:
                check.say("maps", "on the CPU", str(error), False)
        if "graphs" in args.parts:
            graphs(check, (0.5 if "speed" in args.parts else 1) * (check.left() - 10))
        if "speed" in args.parts:
            gpu = args.device == "cuda"
            speed(check, "eager", [1, 16, 64, 256] if gpu else [1, 4], 0.4 * check.left(), 10 if gpu else 2)
            speed(check, "compile", [1, 64, 256] if gpu else [1], check.left() - 10, 5 if gpu else 1)
        lines = ["| part | what | result | holds |", "| --- | --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in check.rows)]
        text = "\n".join([*lines, "", f"{time.monotonic() - check.start:.0f} s of {60 * args.minutes:.0f}"]) + "\n"
        print(text)
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / "gpu-check.md").write_text(text)
            (args.out / "gpu-check.json").write_text(json.dumps(check.rows, indent=1, ensure_ascii=False) + "\n")
            for log in [of for of in check.scratch.iterdir() if of.name in ("tests.log", "any-network.jsonl")]:
                (args.out / f"gpu-check-{log.name}").write_text(log.read_text(errors="replace"))
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
