"""Measuring: workers that answer with milliseconds, whole processes, and ratios of what was measured side by side.

Nothing here imports more than Python's own: a process inherits the peak memory of the one that starts it.
"""
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

PAUSE = 0.03  # seconds between two sides, so that the threads of one no longer spin when the other begins


class Unavailable(Exception):
    """A side that cannot be measured here, and why."""


class Worker:
    """A process that takes one command a line; started when it is first asked."""

    live = []

    def __init__(self, command):
        self.command, self.process = [str(word) for word in command], None

    def ask(self, line):
        """The milliseconds that the worker answers to a command."""
        if self.process is None:
            self.complaints = tempfile.TemporaryFile("w+")
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                            stderr=self.complaints)
            Worker.live.append(self.process)
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and says why below
        answer = self.process.stdout.readline().split(maxsplit=1)
        if not answer:
            status = self.process.wait()
            self.complaints.seek(0)
            last = (self.complaints.read().splitlines() or ["nothing said"])[-1]
            raise Unavailable(f"{self.command[0]} ended with status {status}: {last}")
        if answer[0] != "ok":
            raise Unavailable(answer[1].strip())
        return float(answer[1]) if len(answer) > 1 else 0.0


@dataclass
class Ended:
    milliseconds: float
    peak: int  # bytes of memory


def launch(command, **environment):
    """Runs a command from its start to its end, its output thrown away."""
    command = [str(word) for word in command]
    nowhere = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1)]
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ | environment, file_actions=nowhere)
    _, status, usage = os.wait4(pid, 0)
    taken = 1e3 * (time.perf_counter() - start)
    if os.waitstatus_to_exitcode(status) != 0:
        raise Unavailable(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return Ended(taken, usage.ru_maxrss * 1024)


def several(ask, times):
    """A side whose one measurement is the median of several calls right after one another, behind one that does not count."""
    def measure():
        ask()
        return statistics.median(ask() for _ in range(times))
    return measure


def interleave(sides, rounds):
    """Measures every side once a round, in turn. `sides`: functions by name. Returns the measurements of those sides that can be
    measured here, by name, and why the others cannot."""
    taken, missing = {name: [] for name in sides}, {}
    for number in range(rounds + 1):
        for name, measure in sides.items():
            if name in missing:
                continue
            time.sleep(PAUSE)
            try:
                value = measure()
            except (Unavailable, OSError) as error:
                missing[name] = str(error)
                del taken[name]
                continue
            if number > 0:  # the first round warms up
                taken[name].append(value)
    return taken, missing


class Foreign:
    """How much of the machine's processors others took while the body ran: `share`, 0 to 1; None where it cannot be told."""

    share = None

    def __enter__(self):
        self.before = self.read()
        return self

    def __exit__(self, *_):
        if self.before is not None:
            busy, own, wall = (after - before for after, before in zip(self.read(), self.before))
            self.share = max(busy - own, 0.0) / (wall * (os.cpu_count() or 1))

    @staticmethod
    def read():
        tick = os.sysconf("SC_CLK_TCK")
        try:
            with open("/proc/stat") as file:
                values = [int(value) for value in file.readline().split()[1:9]]
        except OSError:
            return None
        own = sum(os.times()[:4])
        for process in Worker.live:
            try:
                with open(f"/proc/{process.pid}/stat") as file:
                    own += sum(map(int, file.read().rpartition(")")[2].split()[11:13])) / tick
            except OSError:
                pass
        return (sum(values) - values[3] - values[4]) / tick, own, time.perf_counter()


@dataclass
class Ratio:
    """One line of the table."""

    row: str
    against: str
    ours: list  # by round
    theirs: list
    unit: str = "ms"
    faster: bool = False  # the ratio says how many times as fast ours is; else, how many times as much it takes
    rate: bool = False  # what was measured is a rate, more of which is better
    target: float | None = None
    note: str = ""
    ratios: list = field(init=False)

    def __post_init__(self):
        pairs = list(zip(self.ours, self.theirs, strict=True))
        self.ratios = [ours / theirs if self.faster == self.rate else theirs / ours for ours, theirs in pairs]

    @property
    def median(self):
        return statistics.median(self.ratios)

    @property
    def met(self):
        if self.target is None:
            return None
        return self.median >= self.target if self.faster else self.median <= self.target

    def record(self):
        """Everything, for JSON."""
        keys = "row against unit faster rate target note ours theirs ratios".split()
        return {key: getattr(self, key) for key in keys} | {"median": self.median, "met": self.met}

    def cells(self):
        """The cells of the table's line."""
        target = "–" if self.target is None else f"{'≥' if self.faster else '≤'} {self.target:g}"
        met = {None: "–", True: "yes", False: "no"}[self.met]
        spread = [f"{value:.2f}" for value in (min(self.ratios), self.median, max(self.ratios))]
        ours, theirs = (f"{statistics.median(values):.4g}" for values in (self.ours, self.theirs))
        return [self.row, self.against, "× as fast" if self.faster else "× of it", *spread, str(len(self.ratios)), target,
                met, f"{ours} : {theirs} {self.unit}", self.note]
