#!/usr/bin/env python3
"""Writes golden.json: faithfulness as grad-cam, torch-cam, SciPy and RISE's own loop measure it.

Needs grad-cam 1.5.7, torchcam 0.5.0, scipy, numpy, torch. The classifier is a softmax over a matrix times the mean of
tanh(pixel) in 4x4 cells of each channel. Run in this folder.
"""
import json

import numpy as np
import torch
from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence, IncreaseInConfidence
from pytorch_grad_cam.metrics.perturbation_confidence import (
    PerturbationConfidenceMetric, RemoveLeastRelevantFirst, RemoveMostRelevantFirst)
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr
from torchcam.metrics import ClassificationMetric

torch.set_num_threads(1)
random = np.random.default_rng(20180619)
HEIGHT, WIDTH, CLASSES, PICTURES, STEPS, SIGMA = 24, 32, 5, 3, 7, 1.9
PERCENTILES = [10, 20, 30, 40, 50, 60, 70, 80, 90]


class Model(torch.nn.Module):
    def __init__(self, matrix):
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.tensor(matrix))

    def forward(self, xs):
        pooled = torch.nn.functional.adaptive_avg_pool2d(torch.tanh(xs), 4)
        return torch.softmax(pooled.flatten(1) @ self.matrix.T, 1)


class Extractor:
    """Gives torch-cam's metric the maps that are there already."""

    def __init__(self, model, cams):
        self.model, self.cams = model, cams

    def __call__(self, class_idx=None, scores=None, normalized=True, **_):
        return [self.cams]

    def fuse_cams(self, cams):
        return cams[0]

    def _hooks_off(self):
        import contextlib
        return contextlib.nullcontext()


matrix = (random.normal(size=(CLASSES, 48)) * 3).round(3).astype(np.float32)
pixels = gaussian_filter(random.normal(size=(PICTURES, 3, HEIGHT, WIDTH)), (0, 0, 2, 2)) * 5
pixels = pixels.round(3).astype(np.float32)
maps = gaussian_filter(random.random((PICTURES, HEIGHT, WIDTH)), (0, 3, 3))
maps = np.stack([(m - m.min()) / (m.max() - m.min()) for m in maps]).round(6).astype(np.float32)
model, xs = Model(matrix), torch.tensor(pixels)
classes = [1, 4, 2]
targets = [lambda output, c=c: output[c] for c in classes]


def confidences(batch, c):
    with torch.no_grad():
        return model(torch.tensor(np.stack(batch)))[:, c].numpy()


def rise(picture, m, c):
    """The loop of RISE's evaluation.py: pixels by descending saliency, an equal share a step."""
    order = np.argsort(-m.reshape(-1), kind="stable")
    blurred = np.stack([gaussian_filter(channel.astype(np.float64), SIGMA, mode="nearest", truncate=3) for channel in picture])
    curves = {}
    for name, start, finish in [("deletion", picture, np.zeros_like(picture)), ("insertion", blurred.astype(np.float32), picture)]:
        batch = []
        for step in range(STEPS + 1):
            changed = order[:step * len(order) // STEPS]
            now = start.copy().reshape(3, -1)
            now[:, changed] = finish.reshape(3, -1)[:, changed]
            batch.append(now.reshape(picture.shape))
        scores = confidences(batch, c)
        curves[name] = {"curve": scores.tolist(), "auc": float((scores.sum() - scores[0] / 2 - scores[-1] / 2) / STEPS)}
    return curves


def road(kind, percentile):
    metric = PerturbationConfidenceMetric(kind(percentile, NoisyLinearImputer(noise=0.0)))
    return metric(xs, maps, targets, model, return_diff=False).tolist()


masked = torch.tensor(maps)[0] < np.percentile(maps[0], 40)
filled = NoisyLinearImputer(noise=0.0)(xs[0], masked.float())
torchcam = []
for i, c in enumerate(classes):  # one picture at a time, so that each has its own figure
    metric = ClassificationMetric(Extractor(model, torch.tensor(maps[i:i + 1])))
    metric.update(xs[i:i + 1], c)
    torchcam.append({name: float(value) for name, value in metric.summary().items()})
coarse = (maps * 6).round().astype(np.float32)  # many ties
golden = {
    "shape": [HEIGHT, WIDTH], "classes": classes, "steps": STEPS, "sigma": SIGMA, "percentiles": PERCENTILES,
    "matrix": [[round(float(v), 3) for v in row] for row in matrix], "pixels": [[round(float(v), 3) for v in p.reshape(-1)] for p in pixels],
    "maps": [[round(float(v), 6) for v in m.reshape(-1)] for m in maps],
    "rise": [rise(pixels[i], maps[i], c) for i, c in enumerate(classes)],
    "most_relevant_removed": [road(RemoveMostRelevantFirst, p) for p in PERCENTILES],
    "least_relevant_removed": [road(RemoveLeastRelevantFirst, p) for p in PERCENTILES],
    "imputed": [round(float(v), 5) for v in filled.reshape(-1)],
    "drop": DropInConfidence()(xs, maps, targets, model).tolist(),
    "increase": IncreaseInConfidence()(xs, maps, targets, model).tolist(),
    "torchcam": torchcam,
    "blurred": [round(float(v), 5) for v in gaussian_filter(pixels[0, 0].astype(np.float64), SIGMA, mode="nearest", truncate=3).reshape(-1)],
    "spearman": [spearmanr(maps[i].reshape(-1), coarse[(i + 1) % PICTURES].reshape(-1)).statistic for i in range(PICTURES)],
}
json.dump(golden, open("golden.json", "w"), separators=(",", ":"))
