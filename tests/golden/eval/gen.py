#!/usr/bin/env python3
"""Writes golden.json and truth.tsv: random maps, random boxes, and what the metrics are by numpy and Pillow 13.

The figures are the localisation metrics' definition written once more, in numpy: bilinear to the picture, minimum 0 and
maximum 1, then pointing, energy, best IoU and centre. Run in this folder.
"""
import json
import math

import numpy as np
from PIL import Image

random = np.random.default_rng(20180910)
THRESHOLDS = np.linspace(0.02, 0.98, 49)


def boxes_in(width, height):
    boxes = []
    for _ in range(random.integers(1, 4)):
        x = np.sort(random.uniform(0, width, 2).round(1))
        y = np.sort(random.uniform(0, height, 2).round(1))
        boxes.append([x[0], y[0], x[1] + 1, y[1] + 1])  # the high corner may leave the picture
    return boxes


def measure(values, size, boxes):
    width, height = size
    columns, rows = np.arange(width)[None], np.arange(height)[:, None]
    truth = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in boxes:
        in_x = (columns >= math.floor(x0)) & (columns < math.ceil(x1))
        truth |= in_x & (rows >= math.floor(y0)) & (rows < math.ceil(y1))
    full = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))
    full = (full - full.min()) / max(float(np.ptp(full)), 1e-12)
    above = full[None] >= THRESHOLDS[:, None, None]
    return {
        "pointing": float(truth.reshape(-1)[full.argmax()]),
        "energy": float(full[truth].sum(dtype=np.float64) / max(full.sum(dtype=np.float64), 1e-12)),
        "iou": (above & truth).sum((1, 2)) / (above | truth).sum((1, 2)),
        "centre": float(truth[height // 2, width // 2]),
    }


def summary(scores):
    def estimate(values):
        values = np.asarray(values, np.float64)
        return [values.mean(), values.std(ddof=1) / math.sqrt(len(values))]

    iou = np.array([score["iou"] for score in scores])
    best = iou.mean(0).argmax()
    figures = {name: estimate([score[name] for score in scores]) for name in ("pointing", "energy", "centre")}
    return {"n": len(scores), **figures, "iou": estimate(iou[:, best]), "threshold": THRESHOLDS[best]}


maps, scores, lines = [], [], ["image\tclass\twidth\theight\tarea\tsmall\tboxes"]
for index in range(16):
    rows, columns = random.integers(2, 15, 2)
    size = tuple(int(side) for side in random.integers(20, 70, 2)) if index else (9, 7)  # a map that shrinks, too
    rows, columns = (rows, columns) if index else (20, 30)
    values = random.random((rows, columns), np.float32) ** 3
    boxes = boxes_in(*size)
    maps.append([[float(value) for value in row] for row in values])
    scores.append(measure(values, size, boxes))
    text = ";".join(",".join(f"{corner:.1f}" for corner in box) for box in boxes)
    lines.append(f"some/{index:02}.jpg\t{index}\t{size[0]}\t{size[1]}\t0\t{index % 2}\t{text}")

golden = {"thresholds": [repr(float(t)) for t in THRESHOLDS], "maps": maps, "all": summary(scores), "small": summary(scores[1::2])}
json.dump(golden, open("golden.json", "w"), separators=(",", ":"))
open("truth.tsv", "w").write("\n".join(lines) + "\n")
