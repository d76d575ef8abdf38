#!/usr/bin/env python3
"""Writes golden.json: the boxes that maps draw and their IoU with the truth, by SciPy's labelling. Run in this folder."""
import json

import numpy as np
from scipy.ndimage import find_objects, gaussian_filter, label

random = np.random.default_rng(20200701)
THRESHOLDS = np.linspace(0.02, 0.98, 49)
EIGHT = np.ones((3, 3))


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0) * max(height, 0)
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
    return overlap / (area(a) + area(b) - overlap)


def largest(above):
    labels, count = label(above, EIGHT)
    if count == 0:
        return None
    sizes = np.bincount(labels.reshape(-1))[1:]  # labels count in row order of the first pixels; argmax takes the first
    rows, columns = find_objects(labels)[int(sizes.argmax())]
    return [columns.start, rows.start, columns.stop, rows.stop]


cases = []
for index in range(12):
    height, width = (int(side) for side in random.integers(9, 26, 2))
    values = random.random((height, width))
    values = gaussian_filter(values, random.uniform(0, 2)) if index else np.ones((height, width))
    values = np.round(values, 2 if index % 3 else 4).astype(np.float32)
    boxes = []
    for _ in range(int(random.integers(1, 3))):
        x, y = np.sort(random.uniform(0, width, 2).round(1)), np.sort(random.uniform(0, height, 2).round(1))
        boxes.append([x[0], y[0], min(x[1] + 1, width), min(y[1] + 1, height)])
    scaled = (values - values.min()) / np.float32(max(float(np.ptp(values)), 1e-12))
    drawn = [largest(scaled >= t) for t in THRESHOLDS]
    best = [0.0 if box is None else max(iou(box, truth) for truth in boxes) for box in drawn]
    cases.append({"shape": [height, width], "map": [round(float(v), 4) for v in values.reshape(-1)], "boxes": boxes, "iou": [round(v, 9) for v in best]})
table = np.array([case["iou"] for case in cases])
shares = {str(least): (table >= least).mean(0) for least in (0.3, 0.5, 0.7)}
summary = {name: [float(share.max()), float(THRESHOLDS[share.argmax()])] for name, share in shares.items()}
json.dump({"cases": cases, "summary": summary}, open("golden.json", "w"), separators=(",", ":"))
