"""``Attend``: a table of pictures in, a table of maps out."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cbam

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

MAPS = ["fused", "spatial", "channel:stage5"]


@pytest.fixture(scope="module")
def photos(root: Path) -> list[Path]:
    """Three photos."""
    return [root / "assets" / "images" / name for name in ("chelsea.jpg", "coffee.jpg", "rocket.jpg")]


@pytest.fixture(scope="module")
def stored(photos: list[Path]) -> "pa.Table":
    """The same as ``datasets`` stores them, with two that cannot be looked at."""
    rows = [{"bytes": path.read_bytes(), "path": path.name} for path in photos]
    rows += [{"bytes": b"no picture", "path": "bad.jpg"}, None]
    return pa.table({"id": list(range(len(rows))), "image": pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))})


def test_rows_are_what_look_says(stored: "pa.Table", photos: list[Path]) -> None:
    rows = cbam.Attend(MAPS, key="id")(stored).to_pylist()
    assert len(rows) == 3 * len(photos) + 2
    for number, path in enumerate(photos):
        look = cbam.look(path, MAPS)
        for row, name in zip(rows[3 * number : 3 * number + 3], MAPS):
            assert (row["key"], row["path"], row["error"]) == (number, path.name, None)
            assert (row["class"], row["label"]) == look.top[0][:2] and row["probability"] == np.float32(look.top[0].probability)
            values = look.maps[name]
            assert row["map_name"] == name and np.array_equal(np.float32(row["map"]), values.ravel())
            assert (row["width"], row["height"]) == look.size and row["seen_left"] is None
            assert row["map_class"] == (look.explained.number if name == "fused" else None)
            if values.ndim == 1:
                assert row["map_height"] is None and row["max"] is None
                continue
            assert (row["map_height"], row["map_width"]) == values.shape
            said = look.statistics(name)
            assert (row["peak_x"], row["centroid_y"]) == pytest.approx((said.peak[0], said.centroid[1]))
            assert (row["max"], row["coverage"]) == pytest.approx((said.max, said.coverage))
    bad, empty = rows[-2:]
    assert bad["key"] == 3 and bad["error"].startswith("bad.jpg: ") and bad["map"] is None and bad["class"] is None
    assert empty["error"].endswith("the row has no picture")
    assert {(row["version"], len(row["weights"])) for row in rows} == {(cbam.__version__, 64)}


def test_pictures_are_bytes_structures_or_paths(stored: "pa.Table", photos: list[Path]) -> None:
    expected = cbam.Attend()(stored.slice(0, 3))
    assert expected["key"].to_pylist() == [path.name for path in photos]
    files = [path.read_bytes() for path in photos]
    names = [path.name for path in photos]
    for table in (
        pa.table({"bytes": files, "path": names}),  # as Ray reads files
        pa.table({"key": names, "a": pa.array(files, pa.large_binary())}),
        pa.table({"image": [str(path) for path in photos], "key": names}),
        pa.table({"x": pa.chunked_array([[{"path": str(path)}] for path in photos]), "key": names}),
        pa.table({"image": pa.array(files).dictionary_encode(), "key": pa.array(names).dictionary_encode()}),
    ):
        image = next((name for name in ("x", "image") if name in table.schema.names), None)
        rows = cbam.Attend(image=image)(table)
        assert rows["map"].to_pylist() == expected["map"].to_pylist() and rows["key"].to_pylist() == names
        assert rows["weights"] == expected["weights"] and rows.schema.equals(expected.schema)
    batch = stored.slice(0, 3).combine_chunks().to_batches()[0]
    assert cbam.Attend()(batch).equals(expected)
    assert cbam.Attend()(stored.slice(0, 0)).schema.equals(expected.schema)


@pytest.mark.parametrize(
    ("columns", "how", "said"),
    [
        ({"a": [b"x"], "b": [b"y"]}, {}, "say which of a, b"),
        ({"n": [1]}, {}, "no column holds pictures"),
        ({"image": [[1]], "key": ["a"]}, {"image": "image"}, "holds list"),
        ({"image": [b"x"]}, {}, "name a column that tells pictures apart"),
        ({"image": [b"x"]}, {"key": "id"}, "there are 0 columns 'id'"),
        ({"image": [b"x"], "id": [0.5]}, {"key": "id"}, "keys are text or whole numbers"),
        ({"image": [b"x"], "id": ["a"]}, {"image": "photo", "key": "id"}, "there are 0 columns 'photo'"),
        ({"image": [{"bytes": "text"}], "key": ["a"]}, {"image": "image"}, "holds struct"),
        ({"image": [b"x"], "id": [None]}, {"key": "id"}, "keys"),
    ],
)
def test_tables_without_pictures_or_keys_are_refused(columns: dict, how: dict, said: str) -> None:
    with pytest.raises(cbam.ArgumentError, match=said):
        cbam.Attend(**how)(pa.table(columns))


def test_what_is_no_fault_of_a_picture_is_raised(stored: "pa.Table", tmp_path: Path) -> None:
    for arguments in ({"maps": []}, {"masks": 3}, {"size": -1}, {"class_": 0.5}):
        with pytest.raises(cbam.ArgumentError):
            cbam.Attend(**arguments)
    with pytest.raises(cbam.ArgumentError):
        cbam.Attend("patch:nowhere", key="id")(stored)
    with pytest.raises(FileNotFoundError):
        cbam.Attend(weights=tmp_path / "absent.pth", key="id")(stored)


def test_rows_tell_apart_what_was_asked_of_the_same_network() -> None:
    ways = ({}, {"channels": "rgb"}, {"channels": "bgr"}, {"square": True}, {"class_": 3}, {"size": 160}, {})
    made = [cbam.Attend(**how).maker()["weights"] for how in ways]
    assert len(set(made)) == len(ways) - 1 and made[0] == made[-1]
    assert cbam.Attend(maps="patch").maker()["weights"] == made[0]  # a folder may come to have more maps


def test_it_travels_and_leaves_its_network_behind(stored: "pa.Table") -> None:
    attend = cbam.Attend(["gradcam"], class_="tabby", key="id")
    expected = attend(stored)
    sent = pickle.dumps(attend)
    assert len(sent) < 2000
    assert pickle.loads(sent)(stored).equals(expected)


def test_its_rows_are_those_of_the_program(photos: list[Path], tmp_path: Path) -> None:
    """Both write the same columns, with the same values."""
    rows = [{"key": path.stem, "image": {"bytes": path.read_bytes(), "path": path.name}} for path in photos]
    rows.append({"key": "bad", "image": {"bytes": b"no picture", "path": "bad.jpg"}})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    words = [word for name in MAPS for word in ("--map", name)]
    program = Path(sys.executable).parent / "cbam-run"
    subprocess.run([program, "in.parquet", "--out-parquet", "out", "--deterministic", "--quiet", *words], cwd=tmp_path, check=True)
    made = pq.read_table(tmp_path / "out" / "in.parquet")
    pq.write_table(cbam.Attend(MAPS)(pa.Table.from_pylist(rows)), tmp_path / "own.parquet")
    own = pq.read_table(tmp_path / "own.parquet")
    assert made.schema.names == own.schema.names and made.schema.types == own.schema.types
    assert made.to_pylist() == own.to_pylist()
