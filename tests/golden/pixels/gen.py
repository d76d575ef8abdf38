"""Writes pillow.json: what Pillow, numpy and matplotlib make of small inputs that the tests make again by formula."""

import json
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image


def grid(rows, columns):
    y, x = np.mgrid[0:rows, 0:columns]
    return ((x * 7 + y * 13 + x * y * 3) % 23 / 23.0).astype(np.float32)


def picture(rows, columns):
    # Away from 0 and 255: Pillow clips between its two passes, and the order of the passes would show.
    y, x, c = np.mgrid[0:rows, 0:columns, 0:3]
    return ((x * 5 + y * 9 + c * 40 + (x * y) % 17 * 6) % 128 + 64).astype(np.uint8)


def resized(rows, columns, size, method):
    out = np.asarray(Image.fromarray(grid(rows, columns)).resize(size, method))
    return {"from": [rows, columns], "size": list(size), "values": [float(v) for v in out.ravel()]}


golden = {
    "nearest": [resized(3, 5, (11, 7), Image.NEAREST), resized(9, 14, (4, 5), Image.NEAREST)],
    "bilinear": [resized(3, 5, (11, 7), Image.BILINEAR), resized(9, 14, (4, 5), Image.BILINEAR), resized(1, 1, (3, 2), Image.BILINEAR)],
    "bicubic": [resized(3, 5, (11, 7), Image.BICUBIC), resized(9, 14, (4, 5), Image.BICUBIC)],
    "pictures": [
        {"from": [rows, columns], "size": list(size), "values": np.asarray(Image.fromarray(picture(rows, columns)).resize(size, Image.BICUBIC)).ravel().tolist()}
        for rows, columns, size in [(23, 37, (64, 32)), (150, 100, (32, 64))]
    ],
    "percentiles": {
        "from": [3, 5],
        "values": [[q, float(np.percentile(grid(3, 5), q))] for q in (0, 1, 12.5, 50, 99, 100)],
    },
    "colormaps": {
        name: [list(map(int, matplotlib.colormaps[name](value, bytes=True)[:3])) for value in (0.0, 0.25, 0.5, 0.75, 1.0)]
        for name in ("turbo", "viridis", "inferno", "magma", "plasma", "cividis", "jet", "gray")
    },
}
(Path(__file__).parent / "pillow.json").write_text(json.dumps(golden) + "\n")
