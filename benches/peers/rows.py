"""The rows of the table: what is measured against what, and the target of each."""
import functools
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Ratio, Unavailable, Worker, interleave, launch, several

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = ["eager", "channels_last", "frozen", "compile", "onnxruntime"]
NAMES = {"eager": "PyTorch eager", "channels_last": "PyTorch eager, channels_last", "frozen": "TorchScript frozen",
         "compile": "torch.compile", "onnxruntime": "ONNX Runtime"}
CBAM = [(8, 256, 56, 56), (8, 512, 28, 28), (1, 64, 112, 112)]
PHOTO_INPUT = (224, 288)  # what a photo of 500x375 becomes
THREADS = 2


class Folders:
    """Folders to write to, a new one each time: in the place of files just deleted, some file systems are slow to make new ones.
    All are deleted with this."""

    def __init__(self, scratch):
        self.all, self.last = tempfile.TemporaryDirectory(prefix="overlays-", dir=scratch), {}

    def new(self, whose):
        """One more, which is then the last one of this side."""
        self.last[whose] = Path(tempfile.mkdtemp(prefix=f"{whose}-", dir=self.all.name))
        return self.last[whose]


class Bench:
    """What the rows need: programs, workers, photos."""

    def __init__(self, run, light, worker, scratch, quick):
        self.run, self.light, self.worker, self.scratch, self.quick = run, light, worker, scratch, quick
        self.ours, self.layers = Worker([worker]), Worker([worker])  # the network's threads are not those of single layers
        self.skipped = []  # (row, side, why)

    def folder_size(self):
        return 60 if self.quick else 500

    def rounds(self, full, quick=3):
        return quick if self.quick else full

    @functools.cache
    def peer(self, name, device="cpu", precision="f32"):
        return Worker([sys.executable, HERE / "worker.py", name, device, precision])

    @functools.cache
    def photos(self, count):
        folder = self.scratch / f"photos-{count}"
        if len(list(folder.glob("*.jpg"))) != count:
            self.python("photos.py", "folder", folder, count)
        return folder

    @functools.cache
    def large(self):
        path = self.scratch / "large.jpg"
        if not path.exists():
            self.python("photos.py", "large", path)
        return path

    def python(self, script, *words):
        command = [sys.executable, HERE / script, *map(str, words)]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout

    def cbam_run(self, *words, threads=THREADS):
        return launch([self.run, *words, "--quiet", "--threads", threads])

    def light_run(self, *words):
        return launch([self.light, "run", *words, "--quiet", "--threads", THREADS])

    def empty(self):
        """The start and end of a process that is linked with libtorch and does nothing."""
        return launch([self.worker]).milliseconds

    def sides(self, row, sides, rounds):
        """Measures sides by turns, notes those that cannot be measured, and fails if ours cannot."""
        taken, missing = interleave(sides, rounds)
        if "ours" in missing:
            raise Unavailable(missing["ours"])
        self.skipped += [(row, NAMES.get(side, side), why) for side, why in missing.items()]
        return taken

    def asks(self, side, line, times):
        return several(lambda: side.ask(line), times)


def cold(bench):
    photo, row = bench.photos(bench.folder_size()) / "0000.jpg", "cold start, one 500×375 photo → overlay on disk"
    out, empty = bench.scratch / "cold.png", several(bench.empty, 3)
    script = [sys.executable, HERE / "overlay.py", photo, bench.scratch / "peer.png"]
    warm = [bench.asks(bench.ours, line, 5) for line in (
        f"decode {photo}", "forward 1 {} {}".format(*PHOTO_INPUT), f"encode {photo} {bench.scratch / 'encoded.png'}")]
    taken = bench.sides(row, {
        "ours": several(lambda: bench.cbam_run(photo, "--overlay", out).milliseconds, 3),
        "light": several(lambda: bench.light_run(photo, "--overlay", out).milliseconds, 3),
        "script": several(lambda: launch(script).milliseconds, 1),
        "floor": lambda: empty() + sum(measure() for measure in warm),
    }, bench.rounds(10))
    return [Ratio(row, "Python eager script", taken["ours"], taken["script"], faster=True, target=7),
            Ratio(row, "empty libtorch process + decode + forward + encode", taken["ours"], taken["floor"], target=1.25),
            Ratio(row + ", light build", "the full build", taken["light"], taken["ours"], faster=True, target=2.5),
            Ratio(row + ", light build", "Python eager script", taken["light"], taken["script"], faster=True)]


def forward(bench):
    lines = []
    for batch, times in ((1, 10), (8, 2)):
        row = f"forward of the default network, batch {batch}"
        ask = f"forward {batch} 224 224"
        sides = {"ours": bench.ours} | {peer: bench.peer(peer) for peer in PEERS}
        sides = {name: bench.asks(side, ask, times) for name, side in sides.items()}
        taken = bench.sides(row, sides, bench.rounds(20))
        targets = {"eager": (True, 3), "onnxruntime": (False, 1.0)}
        for peer in (peer for peer in PEERS if peer in taken):
            faster, target = targets.get(peer, (True, None))
            lines.append(Ratio(row, NAMES[peer], taken["ours"], taken[peer], faster=faster, target=target))
    return lines


def cbam(bench):
    lines = []
    for size in CBAM:
        row, words = f"CBAM block, {list(size)}", " ".join(map(str, size))
        taken = bench.sides(row, {
            "ours": bench.asks(bench.layers, f"cbam {words}", 10),
            "timm": bench.asks(bench.peer("eager"), f"cbam {words}", 5),
            "floor": bench.asks(bench.layers, f"floor {words}", 10),
        }, bench.rounds(20))
        lines += [Ratio(row, "timm's CbamModule, eager", taken["ours"], taken["timm"], faster=True, target=8),
                  Ratio(row, "three reads and one write", taken["ours"], taken["floor"], target=1.5)]
    return lines


def patch(bench):
    row = "patch attention, 448-pixel input, weights included"
    taken = bench.sides(row, {
        "ours": bench.asks(bench.layers, "patch 448 448", 10),
        "fused": bench.asks(bench.peer("eager"), "patch 448 448", 10),
    }, bench.rounds(20))
    return [Ratio(row, "PyTorch's scaled_dot_product_attention, no weights", taken["ours"], taken["fused"], target=1.2)]


def folder(bench):
    count = bench.folder_size()
    photos, row, outs = bench.photos(count), f"{count} photos → overlays", Folders(bench.scratch)
    model = bench.scratch / "network-{}x{}.onnx".format(*PHOTO_INPUT)
    bench.python("model.py", "export", model, "--height", PHOTO_INPUT[0], "--width", PHOTO_INPUT[1])

    def ours():
        return count / bench.cbam_run(photos, "--out-dir", outs.new("ours")).milliseconds * 1e3

    def peer(*options):
        script = [sys.executable, HERE / "folder.py", model, photos]
        return lambda: count / launch([*script, outs.new("theirs"), *options]).milliseconds * 1e3

    forms = {"batch 1": peer(), "batch 8": peer("--batch", 8), "2 threads": peer("--threads", THREADS),
             "2 processes": peer("--processes", THREADS)}
    taken = bench.sides(row, {"ours": ours} | forms, bench.rounds(3, 1))
    rates = {form: taken[form] for form in forms if form in taken}
    fastest = max(rates, key=lambda form: statistics.median(rates[form]))
    lines = [Ratio(row, f"ONNX Runtime + OpenCV, {form}", taken["ours"], theirs, unit="images/s", faster=True, rate=True,
                   target=2 if form == fastest else None, note="the fastest of them" if form == fastest else "")
             for form, theirs in rates.items()]
    written = [int(size) for size in bench.python("photos.py", "sizes", outs.last["ours"]).split()]
    lines.append(Ratio(row, "size of the files, as OpenCV's default writes them", [written[0]], [written[1]], unit="bytes",
                       target=1.1))
    return lines


def large(bench):
    row, photo, out = "one 12 MP photo → overlay", bench.large(), bench.scratch / "large.png"
    encoded = bench.scratch / "large-encoded.png"

    def alone(side):
        decode, encode = (lambda: side.ask(f"decode {photo}")), (lambda: side.ask(f"encode {photo} {encoded}"))
        return lambda: several(decode, 1)() + several(encode, 1)()

    taken = bench.sides(row, {
        "ours": several(lambda: bench.ours.ask(f"overlay fused {photo} {out}"), 1),
        "alone": alone(bench.ours),
        "opencv": alone(bench.peer("eager")),
        "cold": several(lambda: bench.cbam_run(photo, "--overlay", out).milliseconds, 1),
        "empty": several(bench.empty, 1),
    }, bench.rounds(7))
    floor = [empty + alone for empty, alone in zip(taken["empty"], taken["alone"])]
    return [Ratio(row, "its decode + encode alone, network loaded", taken["ours"], taken["alone"], target=1.3),
            Ratio(row, "its decode + encode by OpenCV, network loaded", taken["ours"], taken["opencv"]),
            Ratio(row + ", cold start", "empty libtorch process + its decode + encode", taken["cold"], floor, target=1.3)]


def memory(bench):
    row, photo = "peak memory, one photo", bench.photos(bench.folder_size()) / "0000.jpg"
    script = [sys.executable, HERE / "overlay.py", photo, bench.scratch / "peer.png"]
    taken = bench.sides(row, {
        "ours": lambda: bench.cbam_run(photo, "--overlay", bench.scratch / "cold.png").peak / 1e6,
        "light": lambda: bench.light_run(photo, "--overlay", bench.scratch / "cold.png").peak / 1e6,
        "script": lambda: launch(script).peak / 1e6,
    }, bench.rounds(5))
    return [Ratio(row, "Python eager script", taken["ours"], taken["script"], unit="MB", target=round(1 / 3, 3)),
            Ratio(row + ", light build", "the full build", taken["light"], taken["ours"], unit="MB")]


def threads(bench):
    count = bench.folder_size()
    photos, row, outs = bench.photos(count), f"1 → 2 threads, {count} photos", Folders(bench.scratch)
    run = lambda threads: lambda: bench.cbam_run(photos, "--out-dir", outs.new("ours"), threads=threads).milliseconds
    taken = bench.sides(row, {"ours": run(2), "one": run(1)}, bench.rounds(5, 2))
    return [Ratio(row, "itself on one thread", taken["ours"], taken["one"], faster=True, target=1.7)]


def explain(bench):
    photo, lines = bench.photos(bench.folder_size()) / "0000.jpg", []
    for name in ("gradcam", "eigencam"):
        row, ask = f"--map {name}, a 500×375 photo → overlay", f"overlay {name} {photo} {bench.scratch / name}"
        taken = bench.sides(row, {
            "ours": bench.asks(bench.ours, ask + "-ours.png", 3),
            "pytorch-grad-cam": bench.asks(bench.peer("eager"), ask + "-peer.png", 3),
        }, bench.rounds(10))
        if "pytorch-grad-cam" in taken:
            lines.append(Ratio(row, "pytorch-grad-cam", taken["ours"], taken["pytorch-grad-cam"], faster=True))
    return lines


def bf16(bench):
    """The same work in bfloat16, where the processor has units for it."""
    brief, lines = Worker([bench.worker, "cpu", "bf16"]), []
    brief.ask("forward 1 224 224")  # says so if the processor has none
    for batch, times in ((1, 10), (8, 4)):
        row, ask = f"forward of the default network in bf16, batch {batch}", f"forward {batch} 224 224"
        sides = {"ours": brief, "f32": bench.ours, "onnxruntime": bench.peer("onnxruntime")}
        taken = bench.sides(row, {name: bench.asks(side, ask, times) for name, side in sides.items()}, bench.rounds(20))
        lines += [Ratio(row, {"f32": "itself in f32"}.get(peer, NAMES.get(peer)), taken["ours"], taken[peer], faster=True)
                  for peer in ("f32", "onnxruntime") if peer in taken]
    count = bench.folder_size()
    photos, row, outs = bench.photos(count), f"{count} photos → overlays, in bf16", Folders(bench.scratch)

    def run(*words):
        return lambda: bench.cbam_run(photos, "--out-dir", outs.new("ours"), *words).milliseconds

    taken = bench.sides(row, {"ours": run("--precision", "bf16", "--device", "cpu"), "f32": run()}, bench.rounds(5, 2))
    return lines + [Ratio(row, "itself in f32", taken["ours"], taken["f32"], faster=True)]


def gpu(bench):
    return [line for precision in ("f32", "f16") for line in gpu_in(bench, precision)]


def gpu_in(bench, precision):
    ours = Worker([bench.worker, "cuda", precision])
    ours.ask("empty")  # says so if there is no GPU
    peers, lines = {name: bench.peer(name, "cuda", precision) for name in ("eager", "compile")}, []
    targets = {"eager": 1.0, "compile": 0.95}
    sides, name_of_row = {"ours": ours} | peers, f"GPU, {precision}"
    one = {name: bench.asks(side, "forward 1 224 224", 20) for name, side in sides.items()}
    taken, row = bench.sides(name_of_row, one, bench.rounds(20)), f"{name_of_row}: latency at batch 1"
    lines += [Ratio(row, NAMES[peer], taken["ours"], taken[peer], faster=True, target=targets[peer])
              for peer in peers if peer in taken]
    best = {}
    for batch in (16, 64, 256):
        many = {name: bench.asks(side, f"forward {batch} 224 224", 5) for name, side in sides.items()}
        for name, times in bench.sides(name_of_row, many, bench.rounds(5)).items():
            rate = [batch / milliseconds * 1e3 for milliseconds in times]
            best[name] = max(best.get(name, [0]), rate, key=statistics.median)
    row = f"{name_of_row}: images/s at the best batch"
    lines += [Ratio(row, NAMES[peer], best["ours"], best[peer], unit="images/s", faster=True, rate=True, target=targets[peer])
              for peer in peers if peer in best]
    return lines


ROWS = {row.__name__: row for row in (cold, forward, cbam, patch, folder, large, memory, threads, explain, bf16, gpu)}
