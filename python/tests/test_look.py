"""What a look holds, draws and writes."""

from __future__ import annotations

import html
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import surroundings
from PIL import Image

import cbam

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tiff", ".tif", ".bmp", ".gif", ".qoi", ".ppm", ".tga")


@pytest.fixture(scope="module")
def look(photo: Path) -> cbam.Look:
    """What the bundled network sees in a cat."""
    return cbam.look(photo, ["fused", "gradcam", "patch"])


# What it holds.


def test_classes(look: cbam.Look) -> None:
    assert len(look.top) == 5
    assert look.top[0].label == "Egyptian cat"
    chances = [of.probability or 0.0 for of in look.top]
    assert chances == sorted(chances, reverse=True)
    assert look.probabilities.shape == (1000,)
    assert look.probabilities.sum() == pytest.approx(1, abs=1e-4)
    for number, label, chance in look.top:
        assert look.probabilities[number] == pytest.approx(chance)
        assert cbam.Network().labels[number] == label
    assert look.explained == look.top[0]


def test_class_by_name_and_number(photo: Path) -> None:
    named, numbered = cbam.look(photo, "gradcam", class_="tabby"), cbam.look(photo, "gradcam", np.int64(281))
    assert named.explained is not None
    assert named.explained[:2] == (281, "tabby")
    assert np.array_equal(named.map, numbered.map)
    assert not np.array_equal(named.map, cbam.look(photo, "gradcam").map)


def test_maps(look: cbam.Look) -> None:
    assert look.asked == ["fused", "gradcam", "patch"]
    assert list(look.maps)[:3] == look.asked
    assert "rollout" in look.maps
    assert "rise" not in look.maps
    assert len(look.maps) == len(list(look.maps))
    assert look.map is look.maps["fused"]
    for name, values in look.maps.items():
        assert values is look.maps[name]
        assert values.dtype == np.float32
        assert values.ndim == (1 if name.startswith("channel:") else 2)
        assert values.flags.c_contiguous
        assert values.min() >= 0
        assert np.isfinite(values).all()
    assert look.maps["channel:stage5"].ndim == 1
    assert look.maps.get("foo", 3) == 3
    assert repr(look.maps).startswith("Maps(fused, gradcam, patch")


def test_maps_share_their_memory(look: cbam.Look) -> None:
    values = look.maps["fused"]
    torch = pytest.importorskip("torch")
    assert torch.from_dlpack(values).data_ptr() == values.ctypes.data
    assert np.from_dlpack(values).ctypes.data == values.ctypes.data
    assert torch.from_numpy(values).data_ptr() == values.ctypes.data


def test_map_outlives_its_look(photo: Path) -> None:
    values = cbam.look(photo).map
    before = values.copy()
    cbam.look(photo)
    assert np.array_equal(values, before)


def test_statistics(look: cbam.Look) -> None:
    of, values = look.statistics(), look.map
    assert of.min == pytest.approx(values.min())
    assert of.max == pytest.approx(values.max())
    assert of.mean == pytest.approx(values.mean(), rel=1e-4)
    row, column = np.unravel_index(values.argmax(), values.shape)
    assert of.peak == pytest.approx(((column + 0.5) / values.shape[1], (row + 0.5) / values.shape[0]))
    assert 0 < of.entropy < 1
    held = np.sort(values, axis=None)[::-1].cumsum() / values.sum()
    assert of.coverage == pytest.approx((np.searchsorted(held, 0.5) + 1) / values.size)
    assert look.statistics("gradcam") != of
    with pytest.raises(cbam.ArgumentError, match="channel"):
        look.statistics("channel:stage5")


def test_what_it_says_of_the_picture(look: cbam.Look, photo: Path) -> None:
    with Image.open(photo) as image:
        assert look.size == image.size
        assert np.abs(look.picture.astype(int) - np.asarray(image.convert("RGB"))).max() <= 4
    left, top, width, height = look.seen
    assert 0 <= left < left + width <= look.size[0]
    assert 0 <= top < top + height <= look.size[1]
    assert min(look.input_size) > 0
    assert look.damage is None
    assert look.notes == []
    assert look.name == str(photo)
    assert re.fullmatch(r"Look\('.*chelsea.jpg', 'Egyptian cat' [\d.]+%, maps: fused, gradcam, patch\)", repr(look))


# What it draws.


def test_overlay(look: cbam.Look) -> None:
    width, height = look.size
    drawn = look.overlay()
    assert drawn.shape == (height, width, 3)
    assert drawn.dtype == np.uint8
    assert not np.array_equal(drawn, look.overlay("gradcam"))
    assert not np.array_equal(drawn, look.overlay(colormap="viridis"))
    assert np.array_equal(look.overlay(alpha=0), look.picture)
    assert look.overlay(width=100).shape[1] == 100
    assert look.overlay(legend=True).shape[0] > height


def test_overlay_of_your_own(look: cbam.Look, photo: Path) -> None:
    assert np.array_equal(cbam.overlay(look.picture, look.map), look.overlay())
    torch = pytest.importorskip("torch")
    assert np.array_equal(cbam.overlay(photo, torch.from_numpy(look.map)), look.overlay())
    assert cbam.overlay(np.zeros((40, 50), np.float32), np.eye(3), range=(0, 1)).shape == (40, 50, 3)
    for wrong, text in (
        (np.zeros((3, 3, 3)), r"\[3, 3, 3\]; a map is \[h, w\]"),
        (np.full((3, 3), -1.0), "from -1 to -1; a map is finite and at least 0"),
        (np.full((3, 3), np.nan), "from nan"),
        (np.zeros((0, 3)), r"\[0, 3\]"),
        (np.zeros((3, 3), complex), "complex128"),
    ):
        with pytest.raises(cbam.InputError, match=text):
            cbam.overlay(photo, wrong)
    with pytest.raises(cbam.ArgumentError, match="map: str is no map"):
        cbam.overlay(photo, "fused")
    with pytest.raises(cbam.ArgumentError, match="legend: has no effect on an array"):
        cbam.overlay(photo, look.map, legend=True)


def test_panel_and_page(look: cbam.Look) -> None:
    panel = look.panel()
    assert panel.ndim == 3
    assert panel.shape[2] == 3
    assert panel.shape[1] > look.size[0]
    whole, some = look.page(), look.page(whole=False)
    assert whole.startswith("<!doctype html>")
    assert len(some) < len(whole) / 2
    assert not re.search(r'<(script|link|img|iframe)[^>]+(src|href)="(https?:|/)', whole), "it needs nothing beside itself"


def test_styles(look: cbam.Look) -> None:
    for wrong, text in (
        ({"colormap": "foo"}, "colormap.*turbo"),
        ({"alpha": 3}, "alpha: 3 is not in"),
        ({"alpha": "much"}, "alpha: 'much' is not a number"),
        ({"width": 0}, "width: must be at least 1"),
        ({"width": -1}, "width: -1 is not a whole number"),
        ({"refine": "yes"}, "refine: 'yes' is not True or False"),
        ({"scale": "run"}, "scale: .*fixed:LOW,HIGH"),
        ({"jpeg_quality": 90}, "jpeg_quality: has no effect on an array"),
    ):
        with pytest.raises(cbam.ArgumentError, match=text):
            look.overlay(**wrong)
    with pytest.raises(TypeError, match="'foo' is no argument; there are colormap, alpha"):
        look.overlay(foo=1)
    for name in ("width", "legend", "jpeg_quality"):
        with pytest.raises(cbam.ArgumentError, match=f"{name}: has no effect on a panel"):
            look.panel(**{name: 1})


# What it writes.


@pytest.mark.parametrize("extension", PICTURES)
def test_save_pictures(look: cbam.Look, tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"overlay{extension}"
    look.save(path)
    if extension != ".qoi":
        with Image.open(path) as image:
            assert image.size == look.size
            if extension not in (".jpg", ".jpeg", ".gif"):
                assert np.array_equal(np.asarray(image.convert("RGB")), look.overlay())
    assert cbam.look(path).size == look.size


def test_save_other_files(look: cbam.Look, tmp_path: Path) -> None:
    look.save(tmp_path / "panel.png", "panel")
    with Image.open(tmp_path / "panel.png") as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), look.panel())
    look.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    look.save(str(tmp_path / "map.npy"), map="gradcam")
    assert np.array_equal(np.load(tmp_path / "map.npy"), look.maps["gradcam"])
    look.save(tmp_path / "small.jpg", map="gradcam", jpeg_quality=10, width=100)
    look.save(tmp_path / "large.jpg", map="gradcam", jpeg_quality=95, width=100)
    assert (tmp_path / "small.jpg").stat().st_size < (tmp_path / "large.jpg").stat().st_size


def test_save_whole_or_not_at_all(look: cbam.Look, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for path in ("folder.png", "file/overlay.png", "file/page.html", "file/map.npy", "nul\0.png"):
        with pytest.raises((cbam.FileError, ValueError)):
            look.save(tmp_path / path)
    for path, how, text in (
        ("a.foo", {}, r"its extension says what is written: \.png"),
        ("a", {}, "its extension"),
        ("a.png", {"what": "page"}, "a page is written as .html"),
        ("a.png", {"what": "map"}, "a map is written as .npy"),
        ("a.png", {"what": "film"}, "'film' is none of overlay, panel, page, map"),
        ("a.html", {"alpha": 1}, "alpha: has no effect on a page"),
        ("a.npy", {"alpha": 1}, "alpha: has no effect on a map"),
        ("a.html", {"map": "patch"}, "map: has no effect on a page"),
        ("a.png", {"what": "panel", "map": "patch"}, "map: has no effect on a panel"),
        ("a.png", {"what": "panel", "width": 10}, "width: has no effect on a panel"),
        ("a.png", {"jpeg_quality": 10}, "jpeg_quality: has no effect on .png"),
        ("a.jpg", {"jpeg_quality": 101}, "jpeg_quality: 101 is not in"),
        ("a.png", {"map": "foo"}, "foo"),
    ):
        with pytest.raises(cbam.ArgumentError, match=text):
            look.save(tmp_path / path, **how)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "mine"


def test_save_into_a_full_disk_leaves_the_old_file(look: cbam.Look, tmp_path: Path) -> None:
    path = tmp_path / "overlay.png"
    path.write_text("mine")
    program = (
        "import sys, resource, signal, cbam\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "look = cbam.look(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: look.save(sys.argv[2])\n"
        "except cbam.FileError as error: print(error.errno)\n"
    )
    arguments = [sys.executable, "-c", program, look.name, str(path)]
    done = subprocess.run(arguments, capture_output=True, text=True, env=surroundings(), timeout=60, check=True)
    assert int(done.stdout) > 0
    assert [file.name for file in tmp_path.iterdir()] == ["overlay.png"]
    assert path.read_text() == "mine"


def test_notebooks(look: cbam.Look, tmp_path: Path) -> None:
    page = look._repr_html_()
    assert len(page.encode()) <= 500_000
    inside = re.fullmatch(r'<iframe title="[^"]*" srcdoc="([^"]*)" [^>]*></iframe>', page)
    assert inside is not None
    assert html.unescape(inside[1]).startswith("<!doctype html>")
    assert look._repr_png_().startswith(b"\x89PNG\r\n\x1a\n")
    assert set(look._repr_mimebundle_()) == {"text/html", "image/png", "text/plain"}
    assert set(look._repr_mimebundle_(include=["image/png"])) == {"image/png"}
    assert set(look._repr_mimebundle_(exclude=["text/html"])) == {"image/png", "text/plain"}
    noise = np.random.default_rng(0).integers(0, 256, (1600, 2400, 3), np.uint8)
    path = tmp_path / ('<"&\'é' * 30 + ".png")
    Image.fromarray(noise).save(path)
    for maps in (None, ["rollout", "patch"]):
        shown = cbam.look(path, maps)._repr_html_()
        assert len(shown.encode()) <= 500_000
        assert re.match(r'<(iframe|img) [a-z]+="[^"<>]*"', shown)


# What it is asked.


def test_unknown_and_without_effect(photo: Path) -> None:
    for how, text in (
        ({"maps": "foo"}, 'map "foo": .*fused'),
        ({"maps": []}, "maps: is empty"),
        ({"maps": 5}, "maps: 5 is no name"),
        ({"maps": ["fused", 5]}, "no list of such"),
        ({"masks": 5}, "masks: has no effect; it is for maps='rise'"),
        ({"maps": "rise", "window": 5}, "window: has no effect; it is for maps='occlusion'"),
        ({"maps": "rise", "masks": 0}, "masks: must be at least 1"),
        ({"maps": "rise", "masks": -1}, "masks: -1 is not a whole number"),
        ({"maps": "rise", "masks": 1.5}, "masks: 1.5 is not a whole number"),
        ({"maps": "gradcam", "class_": "tabyb"}, r"nearest names are .*tabby \(281\)"),
        ({"maps": "gradcam", "class_": 1000}, "0 to 999"),
        ({"maps": "gradcam", "class_": -1}, "class_: -1"),
        ({"maps": "gradcam", "class_": 1.5}, "class_: 1.5"),
        ({"arch": "resnet50"}, "bundled network is known"),
        ({"labels": ["cat"]}, "labels: 1 name, but the network has 1000"),
        ({"size": "large"}, "size: 'large' is not a whole number"),
        ({"mean": (1, 2)}, "mean: .*three numbers"),
        ({"channels": "rbg"}, "channels: .*rgb, bgr, grey"),
        ({"on_error": "return"}, "on_error: is for a list"),
        ({"on_error": "pass"}, "neither 'raise' nor 'return'"),
    ):
        with pytest.raises(cbam.ArgumentError, match=text):
            cbam.look(photo, **how)
    with pytest.raises(TypeError, match="'foo' is no argument"):
        cbam.look(photo, foo=1)


def test_class_without_effect(photo: Path) -> None:
    with pytest.raises(cbam.ArgumentError, match="class"):
        cbam.look(photo, "rollout", class_=281)


def test_costly_methods(photo: Path) -> None:
    first = cbam.look(photo, "rise", masks=4, seed=1, size=96)
    assert np.array_equal(first.map, cbam.look(photo, "rise", masks=4, seed=1, size=96).map)
    assert not np.array_equal(first.map, cbam.look(photo, "rise", masks=4, seed=2, size=96).map)
    assert cbam.look(photo, "occlusion", window=48, stride=48, size=96).map.min() >= 0
    assert min(first.input_size) == 96


def test_lists(photo: Path, pixels: np.ndarray) -> None:
    given = [photo, pixels, str(photo)]
    looks = cbam.look(given, "fused")
    assert [of.name for of in looks] == [str(photo), "picture", str(photo)]
    for one, of in zip(given, looks, strict=True):
        assert np.array_equal(cbam.look(one).map, of.map)
    assert len(cbam.look(iter(given))) == 3
    assert len(cbam.look(tuple(given))) == 3
    assert cbam.look([]) == []


def test_errors_in_lists(photo: Path) -> None:
    given = [photo, "nowhere.png", 5, photo, b"hello"]
    with pytest.raises(cbam.PicturesError, match=r"3 of 5 pictures failed: number 1: .*nowhere.png.*and 2 more") as raised:
        cbam.look(given)
    failed = raised.value
    assert list(failed.errors) == [1, 2, 4]
    assert [type(error) for error in failed.errors.values()] == [cbam.MissingFileError, cbam.ArgumentError, cbam.PhotoError]
    assert [look is None for look in failed.looks] == [False, True, True, False, True]
    returned = cbam.look(given, on_error="return")
    assert [type(of) for of in returned] == [
        cbam.Look,
        cbam.MissingFileError,
        cbam.ArgumentError,
        cbam.Look,
        cbam.PhotoError,
    ]
    with pytest.raises(cbam.ArgumentError, match="foo"):
        cbam.look(given, "foo", on_error="return")


def test_errors_go_to_other_processes() -> None:
    with pytest.raises(cbam.PicturesError) as raised:
        cbam.look(["nowhere.png"])
    again = pickle.loads(pickle.dumps(raised.value))
    assert str(again) == str(raised.value)
    assert again.errors[0].filename == "nowhere.png"


def test_damage_warns(photo: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photo.read_bytes()[:20_000])
    with pytest.warns(cbam.CbamWarning, match="broken.jpg: ") as heard:
        look = cbam.look(broken)
    assert look.damage is not None
    assert heard[0].filename == __file__
    with pytest.warns(cbam.CbamWarning) as heard:
        cbam.Network().look([broken])
    assert heard[0].filename == __file__


def test_notes_warn(pixels: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "profile.png"
    Image.fromarray(pixels).save(path, icc_profile=b"this is no profile" * 10)
    with pytest.warns(cbam.CbamWarning, match="ICC profile was passed over"):
        look = cbam.look(path)
    assert any("ICC profile" in note for note in look.notes)


# Networks.
