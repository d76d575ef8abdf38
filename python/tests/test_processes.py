"""Looks in many threads and processes: they are the same, they let others run, and they end when they are told to."""

from __future__ import annotations

import multiprocessing
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import surroundings

import cbam


def _bytes(path: str) -> bytes:
    look = cbam.look(path, ["fused", "gradcam"])
    return look.maps["fused"].tobytes() + look.maps["gradcam"].tobytes() + look.overlay().tobytes()


def test_threads_at_once(photo: Path) -> None:
    expected = _bytes(str(photo))
    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(_bytes, [str(photo)] * 50)) == {expected}


def test_any_number_of_threads(photo: Path) -> None:
    expected, before = _bytes(str(photo)), cbam.threads()
    try:
        for count in (1, 3, 8):
            cbam.set_threads(count)
            assert cbam.threads() == count
            assert _bytes(str(photo)) == expected
    finally:
        cbam.set_threads(None)
    assert cbam.threads() == before


def test_number_of_threads_is_checked() -> None:
    for wrong in (0, -1, 10_000):
        with pytest.raises((cbam.ArgumentError, OverflowError)):
            cbam.set_threads(wrong)
    for wrong in ("two", 2.5):
        with pytest.raises(TypeError):
            cbam.set_threads(wrong)  # pyright: ignore[reportArgumentType]


def test_number_of_threads_ofsurroundings(python: Callable[..., Any]) -> None:
    program = "import cbam; print(cbam.threads())"
    assert python(program, OMP_NUM_THREADS="3").stdout.strip() == "3"
    assert python(program, OMP_NUM_THREADS="5,2").stdout.strip() == "5"
    assert int(python(program, OMP_NUM_THREADS="none").stdout) >= 1


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_processes(photo: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _bytes(str(photo))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with multiprocessing.get_context(way).Pool(4 if way == "fork" else 2) as pool:
        found = pool.map_async(_bytes, [str(photo)] * 8, chunksize=1).get(timeout=60)
    assert set(found) == {expected}


def test_forks_while_others_look(photo: Path) -> None:
    expected, done = _bytes(str(photo)), threading.Event()

    def others() -> None:
        while not done.is_set():
            cbam.look(photo)

    threads = [threading.Thread(target=others) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            with multiprocessing.get_context("fork").Pool(1) as pool:
                assert pool.apply_async(_bytes, [str(photo)]).get(timeout=60) == expected
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _growth(photo: Path, pixels: np.ndarray, count: int) -> float:
    """By how many MB the process grows over some looks."""
    network = cbam.Network()
    for _ in range(50):
        network.look(photo, size=64)
        network.look(pixels, size=64)
    before = _resident()
    for _ in range(count // 2):
        network.look(photo, size=64)
        look = network.look(pixels, size=64)
    del look
    return (_resident() - before) / 1e6


def test_memory_stays(photo: Path, pixels: np.ndarray) -> None:
    assert _growth(photo, pixels, 300) < 5


@pytest.mark.long
def test_memory_stays_long(photo: Path, pixels: np.ndarray) -> None:
    assert _growth(photo, pixels, 10_000) < 5


@pytest.mark.parametrize("maps", ["rise", "occlusion"])
def test_interrupt(photo: Path, maps: str) -> None:
    how = {"rise": "masks=100_000", "occlusion": "window=8, stride=1"}[maps]
    program = (
        "import signal, sys, time, cbam\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whatever started the tests may ignore it
        "cbam.look(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        f"try: cbam.look(sys.argv[1], maps={maps!r}, {how})\n"
        "except KeyboardInterrupt: print('interrupted', cbam.look(sys.argv[1]).top[0].label)\n"
    )
    arguments = [sys.executable, "-c", program, str(photo)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=surroundings(OMP_NUM_THREADS="2")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[0]
        took = time.monotonic() - begun
    assert rest == "interrupted Egyptian cat\n"
    assert took < 20  # it would take minutes


def test_others_run_meanwhile(photo: Path) -> None:
    counted, done = [0], threading.Event()

    def count() -> None:
        while not done.is_set():
            counted[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = counted[0]
        cbam.look(photo, "rise", masks=40)
        assert counted[0] - before > 5
    finally:
        done.set()
        thread.join()
