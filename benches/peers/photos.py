#!/usr/bin/env python3
"""Photos for the benches, made of the bundled pictures; and how large OpenCV writes what we wrote.

usage: photos.py folder OUT COUNT    photos of 500x375, JPEG: crops, mirrored or not
       photos.py large OUT.jpg       one of 4000x3000, JPEG of quality 90
       photos.py sizes FOLDER        bytes of the PNG files there, and of the same pixels as OpenCV writes them by default
"""
import random
import sys
from pathlib import Path

import cv2

IMAGES = Path(__file__).parents[2] / "assets" / "images"
QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 90]


def crop(picture, width, height, share, left, top):
    """The part of a picture of that ratio of sides, `share` of what would fit, resampled."""
    rows, columns = picture.shape[:2]
    scale = min(columns / width, rows / height) * share
    w, h = int(width * scale), int(height * scale)
    x, y = int(left * (columns - w)), int(top * (rows - h))
    part = picture[y:y + h, x:x + w]
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC)


def folder(out, count):
    out.mkdir(parents=True, exist_ok=True)
    pictures = [cv2.imread(str(path)) for path in sorted(IMAGES.glob("*.jpg"))]
    chance = random.Random(0)
    for number in range(count):
        picture = crop(pictures[number % len(pictures)], 500, 375, chance.uniform(0.6, 1), chance.random(), chance.random())
        picture = cv2.flip(picture, 1) if chance.random() < 0.5 else picture
        assert cv2.imwrite(str(out / f"{number:04}.jpg"), picture, QUALITY)


def large(out):
    picture = crop(cv2.imread(str(IMAGES / "coffee.jpg")), 4000, 3000, 1, 0.5, 0.5)
    assert cv2.imwrite(str(out), picture, QUALITY)


def sizes(written):
    paths = sorted(written.glob("*.png"))
    theirs = sum(len(cv2.imencode(".png", cv2.imread(str(path), cv2.IMREAD_UNCHANGED))[1]) for path in paths)
    print(sum(path.stat().st_size for path in paths), theirs)


def main():
    match sys.argv[1:]:
        case ["folder", out, count]:
            folder(Path(out), int(count))
        case ["large", out]:
            large(Path(out))
        case ["sizes", written]:
            sizes(Path(written))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
