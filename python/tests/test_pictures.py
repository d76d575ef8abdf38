"""What can be given as a picture: every way to give the same pixels gives the same maps, and what cannot be given says what can."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

import cbam
from cbam._pictures import given

torch: Any = pytest.importorskip("torch")


def png(image: Image.Image) -> bytes:
    """An image as a file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def alike(one: Any, other: Any, **how: Any) -> None:
    """Both give the same maps and classes, bit for bit."""
    first, second = cbam.look(one, **how), cbam.look(other)
    assert np.array_equal(first.map, second.map)
    assert first.top == second.top
    assert np.array_equal(first.picture, second.picture)


def modes(pixels: np.ndarray) -> dict[str, Image.Image]:
    """The same photo in the modes of Pillow that PNG has."""
    image = Image.fromarray(pixels)
    veiled = image.copy()
    veiled.putalpha(Image.linear_gradient("L").resize(image.size))
    palette = image.quantize(64)
    one, several = palette.copy(), palette.copy()
    one.info["transparency"], several.info["transparency"] = 5, bytes(range(64))
    keyed, keyed_grey = image.copy(), image.convert("L")
    keyed.info["transparency"], keyed_grey.info["transparency"] = image.getpixel((5, 5)), 77
    return {
        "RGB": image,
        "RGBA": veiled,
        "L": image.convert("L"),
        "LA": veiled.convert("LA"),
        "P": palette,
        "P, a colour is clear": one,
        "P, colours are half clear": several,
        "RGB, a colour is clear": keyed,
        "L, a grey is clear": keyed_grey,
        "1": image.convert("1"),
        "I;16": Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 200),
    }


MODES = list(modes(np.zeros((8, 8, 3), np.uint8)))


@pytest.mark.parametrize("mode", MODES)
def test_image_is_its_file(pixels: np.ndarray, mode: str) -> None:
    image = modes(pixels)[mode]
    alike(image, png(image))


def test_bytes_of_16_bits_in_any_order(pixels: np.ndarray) -> None:
    grey = pixels[:, :, 0].astype(np.uint16) * 257
    swapped = Image.frombytes("I;16B", (300, 200), grey.astype(">u2").tobytes())
    alike(swapped, grey)
    alike(Image.frombytes("I;16L", (300, 200), grey.astype("<u2").tobytes()), grey)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "LAB", "RGBX"])
def test_other_modes_as_pillow_converts_them(pixels: np.ndarray, mode: str) -> None:
    image = Image.fromarray(pixels).convert(mode)
    alike(image, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["PA", "La", "RGBa"])
def test_other_modes_with_alpha(pixels: np.ndarray, mode: str) -> None:
    image = modes(pixels)["RGBA"].convert("LA" if mode == "La" else "RGBA").convert(mode)
    alike(image, png(image.convert("LA" if mode == "La" else "RGBA")))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_modes_without_white_are_refused(pixels: np.ndarray, mode: str) -> None:
    with pytest.raises(cbam.InputError, match=r"does not say what is white; give numpy.asarray\(image\), with range"):
        cbam.look(Image.fromarray(pixels).convert(mode))


def test_colour_profile_counts(pixels: np.ndarray) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    odd = srgb.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    image = Image.fromarray(pixels)
    plain = cbam.look(image)
    for profile, same in ((srgb, True), (odd, False)):
        image.info["icc_profile"] = profile
        alike(image, png(image))
        assert np.array_equal(cbam.look(image).picture, plain.picture) == same


def test_orientation_of_an_image_warns(pixels: np.ndarray, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(pixels).save(path, exif=exif)
    assert cbam.look(path).size == (200, 300)
    with Image.open(path) as image, pytest.warns(cbam.CbamWarning, match="orientation 6.*exif_transpose") as heard:
        assert cbam.look(image).size == (300, 200)
    assert heard[0].filename == __file__
    with Image.open(path) as image, pytest.warns(cbam.CbamWarning) as heard:
        cbam.look([image])
    assert heard[0].filename == __file__


def test_files_and_bytes(photo: Path) -> None:
    content = photo.read_bytes()
    for same in (str(photo), content, bytearray(content), memoryview(content)):
        alike(same, photo)
    assert cbam.look(photo).name == str(photo)
    with Image.open(photo) as image:
        assert cbam.look(image).name == str(photo)


def test_arrays(pixels: np.ndarray) -> None:
    file = png(Image.fromarray(pixels))
    alike(pixels, file)
    alike(np.moveaxis(pixels, 2, 0), file)
    alike(np.ascontiguousarray(np.moveaxis(pixels, 2, 0)), file)
    alike(np.asfortranarray(pixels), file)
    wide = np.zeros((400, 600, 4), np.uint8)
    wide[::2, ::2, :3] = pixels
    alike(wide[::2, ::2, :3], file)
    alike(pixels[::-1, ::-1], png(Image.fromarray(np.ascontiguousarray(pixels[::-1, ::-1]))))
    alike(pixels[:, :, 1], png(Image.fromarray(np.ascontiguousarray(pixels[:, :, 1]))))
    alike(pixels[:, :, 1:2], pixels[:, :, 1])
    alike(pixels[:, :, 1][None], pixels[:, :, 1])


def test_arrays_of_16_bits(pixels: np.ndarray) -> None:
    grey = pixels[:, :, 0].astype(np.uint16) * 200
    alike(grey, png(Image.fromarray(grey)))
    deep = pixels.astype(np.uint16) * 257
    look = cbam.look(deep)
    assert look.picture.dtype == np.uint16
    assert np.array_equal(look.picture, deep)
    assert np.abs(look.map - cbam.look(pixels).map).max() < 0.05 * look.map.max()  # it is shrunk with finer steps


def test_tensors(pixels: np.ndarray) -> None:
    tensor = torch.from_numpy(pixels.copy())
    alike(tensor, pixels)
    alike(tensor.permute(2, 0, 1), pixels)
    alike(tensor.permute(2, 0, 1).contiguous(), pixels)
    alike(tensor[::2, ::2], pixels[::2, ::2])


@pytest.mark.parametrize("ends", [(0, 1), (-1, 1), (0, 255), [0.0, 1.0]])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_floats(pixels: np.ndarray, ends: Any, kind: Any) -> None:
    low, high = ends
    floats = torch.from_numpy(pixels.copy()).permute(2, 0, 1).to(kind) / 255 * (high - low) + low
    alike(floats, pixels, range=ends)
    alike(floats.requires_grad_(), pixels, range=ends)
    alike(floats.detach().numpy(), pixels, range=ends)


def test_half_floats(pixels: np.ndarray) -> None:
    alike(torch.from_numpy(pixels.copy()).half(), pixels, range=(0, 255))


class Elsewhere:
    """An array on a GPU."""

    def __init__(self, kind: int = 2) -> None:
        self.kind = kind

    def __dlpack__(self, **_: Any) -> Any:
        raise AssertionError("it cannot be read")

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, 0


FLOATS = np.zeros((20, 30, 3), np.float32)
WRONG: list[tuple[str, Any, dict[str, Any], type[Exception], str]] = [
    ("no range", FLOATS, {}, cbam.ArgumentError, r"say it: range=\(0, 1\)"),
    ("above", FLOATS + 2, {"range": (0, 1)}, cbam.InputError, r"from 2 to 2.*not in range=\(0, 1\).*taken back first"),
    ("below", FLOATS - 2, {"range": (-1, 1)}, cbam.InputError, "from -2 to -2"),
    ("NaN", FLOATS + np.nan, {"range": (0, 1)}, cbam.InputError, "from nan to nan"),
    ("infinite", FLOATS + np.inf, {"range": (0, 1)}, cbam.InputError, "from inf"),
    ("range the wrong way", FLOATS, {"range": (1, 0)}, cbam.ArgumentError, "the lower one first"),
    ("range of one", FLOATS, {"range": 1}, cbam.ArgumentError, "no pair of numbers"),
    ("range of text", FLOATS, {"range": "01"}, cbam.ArgumentError, "no pair of numbers"),
    ("range of NaN", FLOATS, {"range": (0, np.nan)}, cbam.ArgumentError, "no pair of numbers"),
    ("range of bytes", np.zeros((9, 9, 3), np.uint8), {"range": (0, 1)}, cbam.ArgumentError, "range: is for floats"),
    ("either way", np.zeros((3, 9, 3), np.uint8), {}, cbam.ArgumentError, "say layout='HWC' or layout='CHW'"),
    ("neither way", np.zeros((9, 9, 9), np.uint8), {}, cbam.InputError, r"\[9, 9, 9\]; pixels are .* with 1 to 4 channels"),
    ("not as said", np.zeros((9, 9, 3), np.uint8), {"layout": "CHW"}, cbam.InputError, "layout='CHW'"),
    ("unknown layout", np.zeros((9, 9, 3), np.uint8), {"layout": "NHWC"}, cbam.ArgumentError, "neither 'HWC' nor 'CHW'"),
    ("layout of a grey one", np.zeros((9, 9), np.uint8), {"layout": "HWC"}, cbam.ArgumentError, "has no effect"),
    ("batch", np.zeros((2, 9, 9, 3), np.uint8), {}, cbam.InputError, r"a batch; give its pictures as a list: list\(batch\)"),
    ("row", np.zeros(9, np.uint8), {}, cbam.InputError, r"\[H, W\], \[H, W, C\] or \[C, H, W\]"),
    ("nothing", np.zeros((0, 9, 3), np.uint8), {}, cbam.InputError, "no pixels"),
    ("whole numbers", np.zeros((9, 9, 3), np.int64), {}, cbam.InputError, "uint8, uint16, or floats with range.*int64"),
    ("truths", np.zeros((9, 9, 3), bool), {}, cbam.InputError, "these are bool"),
    ("objects", np.zeros((9, 9, 3), object), {}, cbam.InputError, "these are object"),
    ("bfloat16", torch.zeros(3, 9, 9, dtype=torch.bfloat16), {"range": (0, 1)}, cbam.InputError, r"give picture.float\(\)"),
    ("no numbers", torch.zeros(3, 9, 9, device="meta"), {"range": (0, 1)}, cbam.DeviceError, "meta"),
    ("CUDA", Elsewhere(), {}, cbam.DeviceError, r"on CUDA:0, .* on the CPU: give picture.cpu\(\)"),
    ("another device", Elsewhere(99), {}, cbam.DeviceError, "device kind 99:0"),
    ("a number", 5, {}, cbam.ArgumentError, "int is no picture; give a path, bytes, an image of Pillow, or an array"),
    ("None", None, {}, cbam.ArgumentError, "NoneType is no picture"),
    ("range of a file", "a.png", {"range": (0, 1)}, cbam.ArgumentError, "range: is for arrays"),
    ("layout of bytes", b"", {"layout": "HWC"}, cbam.ArgumentError, "layout: is for arrays"),
    ("no such file", "nowhere.png", {}, cbam.MissingFileError, "nowhere.png"),
    ("a folder", ".", {}, cbam.FileError, "directory"),
    ("no picture", b"hello", {}, cbam.PhotoError, "not a picture"),
    ("empty", b"", {}, cbam.PhotoError, "picture"),
]


@pytest.mark.parametrize(("value", "how", "kind", "text"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_is_refused(value: Any, how: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text) as raised:
        cbam.look(value, **how)
    assert isinstance(raised.value, cbam.CbamError)


def test_errors_are_also_pythons_own() -> None:
    with pytest.raises(FileNotFoundError) as raised:
        cbam.look("nowhere.png")
    assert raised.value.errno == 2
    assert raised.value.filename == "nowhere.png"
    with pytest.raises(ValueError, match="no picture"):
        cbam.look(5)  # pyright: ignore[reportCallIssue, reportArgumentType]


def test_ambiguous_shape_with_its_layout(pixels: np.ndarray) -> None:
    thin = np.ascontiguousarray(pixels[:3, :4])
    first = cbam.look(thin, layout="HWC")
    assert first.size == (4, 3)
    assert cbam.look(np.moveaxis(thin, 2, 0), layout="CHW").size == (4, 3)


def test_a_panorama_is_said_to_be_squeezed(pixels: np.ndarray) -> None:
    with pytest.warns(cbam.CbamWarning, match="longer than 4:1"):
        look = cbam.look(pixels[:30])
    assert any("longer than 4:1" in note for note in look.notes)


def test_what_is_given_is_not_copied_needlessly(pixels: np.ndarray) -> None:
    tensor = torch.from_numpy(pixels.copy())
    _, array = given(tensor, None, None)
    assert isinstance(array, np.ndarray)
    assert array.ctypes.data == tensor.data_ptr()
