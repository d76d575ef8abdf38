"""Draws every picture of a folder with cbam-run and compares it with Pillow: after its ICC profile, its EXIF orientation, upright.

    odd_pictures.py FOLDER [--cbam-run target/release/cbam-run] [--list] [--limit 3]

Each picture is drawn as it is (`--alpha 0`). A picture that Pillow reads and cbam-run does not, or the other way round, is listed by
its message; one that both read counts as equal if the mean difference of its levels is at most --limit of 255. Prints a table by
format. With --list, each picture that is not equal is listed. Needs Pillow and numpy.

Where Pillow takes something for what it is not, the comparison follows what it is: 32-bit and floating-point samples are compared by
correlation (how they are scaled is a choice), alpha that is 0 everywhere is none in BMP, TGA and ICO, L*a*b* goes by its own profile. Pillow's libjpeg runs its plain code: its
SIMD code makes other pixels of coefficients out of range, as damaged files have them.
"""

import argparse
import collections
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

os.environ["JSIMD_FORCENONE"] = "1"  # before libjpeg is loaded

import numpy as np
from PIL import Image, ImageCms, ImageOps

warnings.simplefilter("ignore")
Image.MAX_IMAGE_PIXELS = 250_000_000
LINEAR = {"F", "I"}
SRGB = ImageCms.createProfile("sRGB")


def kind_of(data):
    """The format by signature, in the words of the table."""
    signatures = {
        b"\xff\xd8": "JPEG", b"\x89PNG": "PNG", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF", b"GIF8": "GIF",
        b"BM": "BMP", b"\0\0\x01\0": "ICO", b"DDS ": "DDS", b"qoif": "QOI", b"farbfeld": "farbfeld", b"\x76\x2f\x31\x01": "EXR",
        b"#?RADIANCE": "HDR", b"P1": "PNM", b"P2": "PNM", b"P3": "PNM", b"P4": "PNM", b"P5": "PNM", b"P6": "PNM", b"P7": "PNM",
    }
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return "HEIF, AVIF, MP4"
    return next((name for start, name in signatures.items() if data.startswith(start)), None)


def drawn_by_pillow(path):
    """RGBA on white as [h, w, 3] floats, and whether its levels are a choice of ours."""
    image = Image.open(path)
    image.load()
    free = image.mode in LINEAR or image.mode.startswith("I;16S")
    kept = image.info.get("icc_profile")
    if kept and image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.float64) / 257
        return np.repeat(levels[..., None], 3, axis=2), free
    if free:
        levels = np.asarray(image).astype(np.float64)
        return np.repeat(levels[..., None], 3, axis=2), True
    if image.mode == "LAB":
        image = ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), SRGB, outputMode="RGB")
    elif kept and image.mode in ("RGB", "RGBA", "L", "CMYK", "LA"):
        try:
            out = {"CMYK": "RGB", "LA": "LA"}.get(image.mode, image.mode)
            if image.mode == "L":
                image = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(kept)), SRGB, outputMode="RGB")
            elif image.mode != "LA":
                image = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(kept)), SRGB, outputMode=out)
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that is broken, or for other colours
    image = image.convert("RGBA")
    if image.format in ("BMP", "TGA", "ICO") or path.suffix.lower() in (".bmp", ".tga", ".ico"):
        if image.getchannel("A").getextrema()[1] == 0:
            image.putalpha(255)
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB")).astype(np.float64), False


def drawn_by_us(path):
    image = Image.open(path)
    if image.mode.startswith("I;16"):
        return np.repeat((np.asarray(image).astype(np.float64) / 257)[..., None], 3, axis=2)
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB")).astype(np.float64)


def verdict(path, ours, limit):
    """(equal, what differs)"""
    theirs, free = drawn_by_pillow(path)
    mine = drawn_by_us(ours)
    if theirs.shape != mine.shape:
        return False, f"size {mine.shape[1]}x{mine.shape[0]} for {theirs.shape[1]}x{theirs.shape[0]}"
    if free:
        a, b = theirs.ravel(), mine.ravel()
        alike = a.std() == 0 or b.std() == 0 or np.corrcoef(a, b)[0, 1] > 0.8
        return bool(alike), "other levels than the file's"
    difference = np.abs(theirs - mine).mean()
    return difference <= limit, f"mean difference {difference:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--cbam-run", default="target/release/cbam-run")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--limit", type=float, default=3)
    arguments = parser.parse_args()

    pictures = []
    for path in sorted(arguments.folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                kind = kind_of(file.read(16)) or ("TGA" if path.suffix.lower() == ".tga" else "other " + path.suffix.lower())
            pictures.append((path, kind))
    rows = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        results = draw_all(arguments.cbam_run, [path for path, _ in pictures], folder)
        for path, kind in pictures:
            entry, ours = results[path]
            column, why = judge(path, entry, ours, arguments.limit)
            rows[kind][column] += 1
            rows["all"][column] += 1
            if arguments.list and why:
                print(f"{column}\t{path.relative_to(arguments.folder)}\t{why}")
    columns = ["equal", "equal, damaged", "other", "refused by both", "refused by us", "read by us alone"]
    print("| format | " + " | ".join(columns) + " |\n|---|" + "--:|" * len(columns))
    for kind in sorted(rows, key=lambda kind: (kind == "all", kind.startswith("other"), kind)):
        print(f"| {kind} | " + " | ".join(str(rows[kind][column] or "") for column in columns) + " |")
    return int(rows["all"]["other"] > 0)


def draw_all(program, paths, folder):
    """One run over links, so that names cannot collide: (entry of the report, drawn picture) by path."""
    links = folder / "in"
    links.mkdir()
    names = {}
    for index, path in enumerate(paths):
        link = links / f"{index:05}{path.suffix}"
        link.symlink_to(path.resolve())
        names[str(link)] = path
    report = folder / "report.json"
    listed = list(names)
    for start in range(0, len(listed), 2000):
        part = listed[start : start + 2000]
        command = [program, *part, "--out-dir", str(folder / "out"), "--alpha", "0", "--size", "32", "--json", str(report), "-q"]
        done = subprocess.run(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        if done.returncode not in (0, 1):
            sys.exit(f"cbam-run ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
        if b"panicked" in done.stderr:
            sys.exit("cbam-run panicked: " + done.stderr.decode()[-2000:])
        entries = {entry["input"]: entry for entry in json.loads(report.read_text())}
        for name in part:
            entry = entries[name]
            yield_path = next(iter(entry.get("outputs", [])), None)
            names[name] = (names[name], entry, yield_path)
    return {path: (entry, drawn) for path, entry, drawn in names.values()}


def judge(path, entry, ours, limit):
    """The column of the table, and what there is to say."""
    message = entry.get("error")
    try:
        equal, difference = (None, None) if message else verdict(path, ours, limit)
        if message:
            Image.open(path).load()
    except Exception as error:  # Pillow's decoders raise anything
        theirs = f"Pillow: {type(error).__name__} {error}"
        return ("refused by both", message.split(": ", 1)[-1]) if message else ("read by us alone", f"{entry.get('damaged') or ''} {theirs}")
    if message:
        return "refused by us", message.split(": ", 1)[-1]
    if equal:
        return ("equal, damaged", entry["damaged"]) if entry.get("damaged") else ("equal", "")
    return "other", f"{difference}; {entry.get('damaged') or ''} {'; '.join(entry.get('notes', []))}"


if __name__ == "__main__":
    sys.exit(main())
