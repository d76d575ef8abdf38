"""``Attend`` on the engines that people have: every picture exactly once, whoever is killed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cbam
from conftest import ROOT, surroundings

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

MAPS = ["fused", "patch"]
BROKEN = 20  # of how many pictures one is broken


def photos(folder: Path, count: int, files: int) -> dict[str, bytes]:
    """A folder of Parquet files with pictures of 40 kB; the pictures by their keys."""
    random = np.random.default_rng(0)
    made = {}
    for number in range(count):
        small = Image.fromarray(random.integers(0, 256, (48, 72, 3), np.uint8))
        stored = io.BytesIO()
        small.resize((576, 384)).save(stored, "JPEG")
        made[f"{number:05}"] = b"broken" if number % BROKEN == BROKEN // 2 else stored.getvalue()
    folder.mkdir()
    rows = [{"key": key, "image": {"bytes": of, "path": f"{key}.jpg"}} for key, of in made.items()]
    for file in range(files):
        pq.write_table(pa.Table.from_pylist(rows[file::files]), folder / f"{file:03}.parquet")
    return made


# So that little data is written in many files.
OFTEN = {
    "ray": "import ray; ray.init(num_cpus=4)\n"  # as many stages as there are want a core each
    "from ray.data import DataContext; of = DataContext.get_current()\n"
    "of.target_min_block_size, of.target_max_block_size = 1 << 14, 1 << 20\n",
    "daft": "import daft; often = daft.set_execution_config\n"
    "daft.set_execution_config = lambda **_: often(parquet_target_filesize=1 << 14, parquet_target_row_group_size=1 << 14)\n",
}


def begun(engine: str, *folders: Path) -> subprocess.Popen[bytes]:
    """A driver, in a group of processes of its own."""
    example = str(ROOT / "examples" / "scale" / f"on_{engine}.py")
    program = f"{OFTEN[engine]}import runpy; runpy.run_path({example!r})"
    log = (folders[1].parent / "log").open("ab")
    words = [sys.executable, "-c", program, *map(str, folders)]
    return subprocess.Popen(words, env=surroundings(RAY_AUTH_MODE="disabled"), start_new_session=True, stdout=log, stderr=log)


def killed(driver: subprocess.Popen[bytes]) -> None:
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()


def written(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("**/*.parquet") if path.stat().st_size > 0)


def until(met, driver: subprocess.Popen[bytes]) -> None:
    """Waits for something that a driver does before it ends."""
    end = time.monotonic() + 240
    while not met():
        assert driver.poll() is None and time.monotonic() < end, "the driver ended before"
        time.sleep(0.02)


def ended(driver: subprocess.Popen[bytes], log: Path) -> None:
    assert driver.wait(timeout=600) == 0, log.read_text()[-3000:]


def check(maps: Path, pictures: dict[str, bytes]) -> None:
    """Every picture exactly once, with the maps that it has here."""
    rows = pa.concat_tables(pq.read_table(path) for path in written(maps)).to_pylist()
    counted = Counter((row["key"], row["map_name"]) for row in rows)
    bad = {key for key, of in pictures.items() if of == b"broken"}
    assert set(counted) == {(key, name) for key in pictures.keys() - bad for name in MAPS} | {(key, None) for key in bad}
    assert set(counted.values()) == {1}
    assert all((row["error"] is not None) == (row["key"] in bad) for row in rows)
    own = {(row["key"], row["map_name"]): row for row in rows}
    good = [key for key in pictures if key not in bad]
    for key, look in zip(good, cbam.look([pictures[key] for key in good], MAPS)):
        for name in MAPS:
            row, values = own[key, name], look.maps[name]
            assert (row["map_height"], row["map_width"]) == values.shape and np.array_equal(np.float32(row["map"]), values.ravel())


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.long)])
def test_ray_goes_on_where_it_was(tmp_path: Path, count: int) -> None:
    pytest.importorskip("ray")
    pictures, maps, checkpoint = tmp_path / "in", tmp_path / "maps", tmp_path / "checkpoint"
    made = photos(pictures, count, 8)
    driver = begun("ray", pictures, maps, checkpoint)
    until(lambda: written(maps), driver)
    killed(driver)
    keys = {key for path in written(maps) for key in pq.read_table(path)["key"].to_pylist()}
    assert 0 < len(keys) < count, "it was killed in the middle"
    driver = begun("ray", pictures, maps, checkpoint)
    worker = ["-s", str(driver.pid), "-f", "MapBatches.Attend"]
    until(lambda: subprocess.run(["pgrep", *worker], stdout=subprocess.DEVNULL).returncode == 0, driver)
    time.sleep(1)
    subprocess.run(["pkill", "-KILL", *worker], check=True)
    ended(driver, tmp_path / "log")
    check(maps, made)


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.long)])
def test_daft_goes_on_where_it_was(tmp_path: Path, count: int) -> None:
    pytest.importorskip("daft")
    pictures, maps = tmp_path / "in", tmp_path / "maps"
    made = photos(pictures, count, 8)
    driver = begun("daft", pictures, maps)
    until(lambda: len(written(maps)) > 1, driver)
    killed(driver)
    driver = begun("daft", pictures, maps)
    ended(driver, tmp_path / "log")
    check(maps, made)
