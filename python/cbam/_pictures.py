"""What can be given as a picture: files, bytes, Pillow's images, arrays of any library that speaks DLPack."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np

from .errors import ArgumentError, DeviceError, InputError, warn

if TYPE_CHECKING:
    from numpy.typing import NDArray


@runtime_checkable
class SupportsDLPack(Protocol):
    """An array of any library, on any device."""

    def __dlpack__(self, *, stream: Any = ...) -> Any: ...

    def __dlpack_device__(self) -> tuple[int, int]: ...


Picture: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[Any] | SupportsDLPack | Any"
"""A path; the bytes of a file; an image of Pillow; or an array or tensor of pixels, ``[H, W]``, ``[H, W, C]`` or ``[C, H, W]`` with
1 to 4 channels, ``uint8`` or ``uint16``, or floats with ``range=(low, high)``."""

Given: TypeAlias = "tuple[str, str | bytes | NDArray[np.uint8] | NDArray[np.uint16]]"

_CPU = (1, 3, 11, 13)  # DLPack's numbers of memory that the CPU reads: its own, and what GPUs share with it
_DEVICES = {2: "CUDA", 4: "OpenCL", 7: "Vulkan", 8: "Metal", 10: "ROCm", 14: "oneAPI"}


def given(picture: Picture, range: tuple[float, float] | None, layout: str | None) -> Given:
    """A picture as the extension takes it: what it is called, and a path, the bytes of a file, or pixels ``[H, W, C]``."""
    if isinstance(picture, (str, os.PathLike)):
        _only_for_arrays(range, layout)
        path = os.fsdecode(cast("str | os.PathLike[str]", picture))
        return path, path
    if isinstance(picture, (bytes, bytearray, memoryview)):
        _only_for_arrays(range, layout)
        return "picture", bytes(cast("bytes", picture))
    if _is_pillow(picture):
        _only_for_arrays(range, layout)
        return _of_pillow(picture)
    return "picture", pixels(array_of(picture), range, layout)


def array_of(value: Any, what: str = "picture") -> NDArray[Any]:
    """An array of NumPy over the numbers of another library's, without a copy where it lies in this machine's memory."""
    if isinstance(value, np.ndarray):
        return cast("NDArray[Any]", value)
    if hasattr(value, "__dlpack_device__"):
        return _of_dlpack(value, what)
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        return np.asarray(value)
    hint = "a path, bytes, an image of Pillow, or an array [H, W, 3]" if what == "picture" else "an array [h, w]"
    raise ArgumentError(f"{what}: {type(value).__name__} is no {what}; give {hint}")


def _of_dlpack(value: Any, what: str) -> NDArray[Any]:
    try:
        kind, number = value.__dlpack_device__()
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise DeviceError(f"{what}: does not lie in this machine's memory: {error}") from error
    if int(kind) not in _CPU:
        device = getattr(value, "device", None) or f"{_DEVICES.get(int(kind), f'device kind {kind}')}:{number}"
        raise DeviceError(f"{what}: lies on {device}, and is read on the CPU: give {what}.cpu()")
    if getattr(value, "requires_grad", False):
        value = value.detach()
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        kind = getattr(value, "dtype", type(value).__name__)
        hint = f"; give {what}.float()" if "float" in str(kind) else ""
        raise InputError(f"{what}: {kind} cannot be read as an array: {error}{hint}") from error


def pixels(
    array: NDArray[Any], range: tuple[float, float] | None, layout: str | None
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Pixels ``[H, W, C]`` of 8 or 16 bits."""
    array = _channels_last(array, layout)
    if array.size == 0:
        raise InputError(f"picture: has shape {list(array.shape)}, and so no pixels")
    kind: np.dtype[Any] = array.dtype
    if kind == np.uint8 or kind == np.uint16:
        if range is not None:
            raise ArgumentError(f"range: is for floats, and these are {kind}, whose range is known")
        return array
    if kind.kind != "f":
        raise InputError(f"picture: pixels are uint8, uint16, or floats with range=(low, high); these are {kind}")
    if range is None:
        raise ArgumentError(
            "range: floats do not say what is black and what is white; say it: range=(0, 1), range=(0, 255), range=(-1, 1)"
        )
    return _eight_bits(array, *_ends(range))


def _ends(range: Any) -> tuple[float, float]:
    try:
        first, second = range
        low, high = float(first), float(second)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if isinstance(range, str) or not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ArgumentError(f"range: {range!r} is no pair of numbers, the lower one first")
    return low, high


def _eight_bits(array: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    least, greatest = float(array.min()), float(array.max())
    slack = 1e-6 * (high - low)
    if not (least >= low - slack and greatest <= high + slack):  # NaN is in no range either
        raise InputError(
            f"picture: has values from {least:g} to {greatest:g}, which are not in range=({low:g}, {high:g}); "
            "a normalised picture has to be taken back first"
        )
    scaled = np.rint((array.astype(np.float64) - low) * (255 / (high - low)))
    return scaled.clip(0, 255).astype(np.uint8)


def _channels_last(array: NDArray[Any], layout: str | None) -> NDArray[Any]:
    if layout not in (None, "HWC", "CHW"):
        raise ArgumentError(f"layout: {layout!r} is neither 'HWC' nor 'CHW'")
    shape = list(array.shape)
    if array.ndim == 2:
        if layout is not None:
            raise ArgumentError(f"layout: {layout!r} has no effect on an array of shape {shape}")
        return array[:, :, np.newaxis]
    if array.ndim == 4:
        raise InputError(f"picture: has shape {shape}, which is a batch; give its pictures as a list: list(batch)")
    if array.ndim != 3:
        raise InputError(f"picture: has shape {shape}; pixels are [H, W], [H, W, C] or [C, H, W]")
    last, first = shape[2] in (1, 2, 3, 4), shape[0] in (1, 2, 3, 4)
    if layout is None:
        if last and first:
            raise ArgumentError(f"layout: shape {shape} can be [H, W, C] or [C, H, W]; say layout='HWC' or layout='CHW'")
        if not last and not first:
            raise InputError(f"picture: has shape {shape}; pixels are [H, W], [H, W, C] or [C, H, W] with 1 to 4 channels")
        layout = "HWC" if last else "CHW"
    elif not (last if layout == "HWC" else first):
        raise InputError(f"picture: has shape {shape}, which has not 1 to 4 channels as layout={layout!r} has it")
    return array if layout == "HWC" else np.moveaxis(array, 0, 2)


def _only_for_arrays(range: tuple[float, float] | None, layout: str | None) -> None:
    for name, value in (("range", range), ("layout", layout)):
        if value is not None:
            raise ArgumentError(f"{name}: is for arrays, and has no effect on a file or an image")


def _is_pillow(value: Any) -> bool:
    mro: tuple[type, ...] = type(value).__mro__
    return any(kind.__module__ == "PIL.Image" and kind.__name__ == "Image" for kind in mro)


def _of_pillow(image: Any) -> Given:
    """The pixels of an image as it has them: Pillow's own conversion where the core has no such pixels."""
    name = getattr(image, "filename", "") or "picture"
    name = os.fsdecode(cast("bytes", name)) if isinstance(name, (bytes, os.PathLike)) else str(name)
    image.load()
    turned = image.getexif().get(0x0112, 1)
    if turned not in (0, 1):
        warn(
            f"{name}: says that it is to be turned (EXIF orientation {turned}), and Pillow gives its pixels as they lie; "
            "PIL.ImageOps.exif_transpose turns them"
        )
    if image.mode in ("I", "F"):
        raise InputError(
            f"picture: an image of mode {image.mode!r} does not say what is white; give numpy.asarray(image), with range=(low, high)"
        )
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("L", "P", "RGB", "RGBA", "CMYK"):
        return name, _with_profile(image, profile)
    if image.mode.startswith("I;16"):
        array = np.asarray(image).astype(np.uint16, copy=False)
    else:
        array = np.asarray(_converted(image))
    return name, array[:, :, np.newaxis] if array.ndim == 2 else array


def _converted(image: Any) -> Any:
    """An image in one of the modes that the core has too."""
    mode = image.mode
    if mode in ("1", "L", "RGB", "P") and "transparency" in image.info:
        return image.convert("LA" if mode in ("1", "L") else "RGBA")
    if mode in ("L", "LA", "RGB", "RGBA"):
        return image
    if mode == "La":
        return image.convert("LA")
    return image.convert("L" if mode == "1" else "RGBA" if mode in ("PA", "RGBa") else "RGB")


def _with_profile(image: Any, profile: bytes) -> bytes:
    """An image as a file, whose colours the core brings to sRGB by the profile in it."""
    file = io.BytesIO()
    if image.mode == "CMYK":
        image.save(file, "TIFF", icc_profile=profile)
    else:
        exifless = image.copy()
        exifless.info = {key: image.info[key] for key in ("transparency",) if key in image.info}
        exifless.save(file, "PNG", icc_profile=profile, compress_level=0, exif=b"")
    return file.getvalue()


def many(picture: Any) -> list[Any] | None:
    """The pictures of a list, or ``None`` for a single one."""
    if isinstance(picture, (str, bytes, bytearray, memoryview)) or hasattr(picture, "__array__"):
        return None
    if hasattr(picture, "__dlpack__") or _is_pillow(picture) or not isinstance(picture, Iterable):
        return None
    return list(cast("Iterable[Any]", picture))
