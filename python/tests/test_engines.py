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
    "daft": "import functools, cbam.daft; cbam.daft.write = functools.partial(cbam.daft.write, file_size=1 << 14)\n",
}


def begun(engine: str, *folders: Path, **more: str) -> subprocess.Popen[bytes]:
    """A driver, in a group of processes of its own, with more in its surroundings."""
    example = str(ROOT / "examples" / "scale" / f"on_{engine}.py")
    program = f"{OFTEN[engine]}import runpy; runpy.run_path({example!r})"
    log = (folders[1].parent / "log").open("ab")
    words = [sys.executable, "-c", program, *map(str, folders)]
    return subprocess.Popen(words, env=surroundings(RAY_AUTH_MODE="disabled", **more), start_new_session=True, stdout=log, stderr=log)


def killed(driver: subprocess.Popen[bytes]) -> None:
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()


def written(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("**/*.parquet") if path.stat().st_size > 0)


def whole(folder: Path) -> dict[str, int]:
    """How many rows each picture has in the files that were written to their end."""
    found: Counter[str] = Counter()
    for path in written(folder):
        try:
            found.update(pq.read_table(path)["key"].to_pylist())
        except pa.ArrowInvalid:  # it was being written
            pass
    return found


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
    assert all((row["error"] is not None) == (row["key"] in bad) and row["path"] == f"{row['key']}.jpg" for row in rows)
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
    # Ray's newer reader of Parquet begins eight processes for a handful of files, which takes a minute on two cores.
    reader = {"RAY_DATA_USE_DATASOURCE_V2": str(int(count > 200))}
    driver = begun("ray", pictures, maps, checkpoint, **reader)
    until(lambda: whole(maps), driver)
    killed(driver)
    assert len(whole(maps)) < count, "it was killed in the middle"
    driver = begun("ray", pictures, maps, checkpoint, **reader)
    worker = ["-s", str(driver.pid), "-f", "MapBatches.*Attend"]
    until(lambda: subprocess.run(["pgrep", *worker], stdout=subprocess.DEVNULL).returncode == 0, driver)
    time.sleep(1)
    subprocess.run(["pkill", "-KILL", *worker], check=True)
    ended(driver, tmp_path / "log")
    check(maps, made)


def test_rays_blocks_hold_whole_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    from ray.data import DataContext
    from ray.data.checkpoint import CheckpointConfig

    import cbam.ray

    rows = cbam.ray._Attend(MAPS)
    table = pa.table({"key": ["a"], "image": [str(ROOT / "assets" / "images" / "coffee.jpg")]})
    context = DataContext.get_current()
    monkeypatch.setattr(context, "target_max_block_size", 1000)
    assert len(rows(table)) == 2
    monkeypatch.setattr(context, "checkpoint_config", CheckpointConfig("key", "/nowhere"))
    with pytest.raises(cbam.ArgumentError, match="take a smaller batch_size"):
        rows(table)
    assert len(cbam.ray._Attend("fused")(table)) == 1
    monkeypatch.setattr(context, "target_max_block_size", 1 << 20)
    assert len(rows(table)) == 2


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.long)])
def test_daft_goes_on_where_it_was(tmp_path: Path, count: int) -> None:
    pytest.importorskip("daft")
    pictures, maps = tmp_path / "in", tmp_path / "maps"
    made = photos(pictures, count, 8)
    driver = begun("daft", pictures, maps)
    until(lambda: whole(maps), driver)
    killed(driver)
    assert len(whole(maps)) < count, "it was killed in the middle"
    driver = begun("daft", pictures, maps)
    ended(driver, tmp_path / "log")
    check(maps, made)


def test_daft_adds_what_is_missing(tmp_path: Path) -> None:
    daft = pytest.importorskip("daft")
    import cbam.daft

    pictures, maps = tmp_path / "in", tmp_path / "maps"
    made = photos(pictures, 24, 2)
    frame = daft.read_parquet(f"{pictures}/*.parquet")
    cbam.daft.write(frame, maps, MAPS)
    check(maps, made)

    # A file that ends between the rows of a picture, one that was being written, and no second map of two pictures.
    (first, *_) = written(maps)
    rows = pq.read_table(first)
    lost = [rows["key"].to_pylist().index(key) for key in ("00003", "00011")]
    pq.write_table(rows.take([row for row in range(len(rows) - 1) if row not in lost]), first)
    (maps / "cut.parquet").write_bytes(first.read_bytes()[:-100])
    for _ in range(2):
        cbam.daft.write(frame, maps, MAPS)
        check(maps, made)
    before = written(maps)
    cbam.daft.write(frame, maps, "spatial")
    assert len([row for path in set(written(maps)) - set(before) for row in pq.read_table(path)["map_name"].to_pylist()]) == 23

    with pytest.raises(cbam.ArgumentError, match="holds rows of weights"):
        cbam.daft.write(frame, maps, MAPS, ROOT / "assets" / "weights" / "efficientnet-lite2-attentive.safetensors")
    with pytest.raises(cbam.ArgumentError, match="twice"):
        cbam.daft.write(frame, maps, ["fused", "Fused"])
