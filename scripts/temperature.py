#!/usr/bin/env python3
"""Fits a network's temperature to pictures whose classes are known, and measures its calibration.

usage: temperature.py IMAGES TRUTH [--check IMAGES TRUTH] [--weights FILE ...]

IMAGES is a folder or a tar. TRUTH is a table with the columns `image` and `class`, separated by tabs, or `names`: a picture
of each class, whose names in their order are the classes. It prints, for each weights file, the temperature at which the
likelihood of the true classes is greatest, and ECE (15 bins) and negative log likelihood before and at it; with --check those of
pictures that no temperature was fitted to, and beside them what a temperature fitted to the other half of them would give.
`cbam-weights convert FILE OUT --temperature T` puts it into a file. It needs cbam's Python package.
"""
import argparse
import csv
import json
import tarfile
from pathlib import Path, PurePath

import cbam
import numpy as np

ASSETS = Path(__file__).parents[1] / "assets" / "weights"
OWN = [ASSETS / name for name in (
    "efficientnet-lite0-attention.safetensors", "efficientnet-lite1-attentive.safetensors",
    "efficientnet-lite2-attentive.safetensors",
)]
BINS = 15
PICTURES = {".jpg", ".jpeg", ".png", ".webp"}


def pictures(images):
    """Every picture's bytes by its name."""
    images = Path(images)
    if images.is_dir():
        files = sorted(path for path in images.rglob("*") if path.suffix.lower() in PICTURES)
        return {str(path.relative_to(images)): path.read_bytes() for path in files}
    with tarfile.open(images) as tar:
        members = [member for member in tar if member.isfile() and PurePath(member.name).suffix.lower() in PICTURES]
        return {member.name: tar.extractfile(member).read() for member in sorted(members, key=lambda member: member.name)}


def labelled(images, truth):
    """The pictures' bytes, and their classes."""
    found = pictures(images)
    if not found:
        raise SystemExit(f"temperature.py: no picture in {images}")
    if truth == "names":
        return list(found.values()), np.arange(len(found))
    with open(truth, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    by_end = {PurePath(name).name: data for name, data in found.items()}
    for row in rows:
        if PurePath(row["image"]).name not in by_end:
            raise SystemExit(f"temperature.py: {row['image']} of {truth} is not in {images}")
    return [by_end[PurePath(row["image"]).name] for row in rows], np.array([int(row["class"]) for row in rows])


def logits(network, data):
    """Up to a constant, `[N, classes]`: the logarithms of probabilities."""
    looks = (network.look(picture) for picture in data)
    return np.log(np.maximum([look.probabilities for look in looks], 1e-37)).astype(np.float64)


def log_softmax(rows, temperature):
    rows = rows / temperature
    rows -= rows.max(1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(1, keepdims=True))


def likelihood(rows, classes, temperature):
    """The mean negative log likelihood, in nats."""
    return -log_softmax(rows, temperature)[np.arange(len(classes)), classes].mean()


def fit(rows, classes):
    """The factor of the least negative log likelihood, of which a logarithm has one minimum (golden section)."""
    low, high, ratio = np.log(0.1), np.log(10), (np.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if likelihood(rows, classes, np.exp(left)) < likelihood(rows, classes, np.exp(right)):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def expected_calibration_error(confidence, right):
    """In per cent."""
    bins = np.clip(np.ceil(confidence * BINS), 1, BINS)
    gaps = (abs(confidence[bins == one].sum() - right[bins == one].sum()) for one in range(1, BINS + 1))
    return 100 * sum(gaps) / len(right)


def answered(rows, classes, temperature):
    """The confidence in the likeliest class, and whether that is right."""
    chances = np.exp(log_softmax(rows, temperature))
    return chances.max(1), chances.argmax(1) == classes


def said(rows, classes, temperature):
    confidence, right = answered(rows, classes, temperature)
    return (f"top-1 {100 * right.mean():.1f}, confidence {100 * confidence.mean():.1f}, "
            f"ECE {expected_calibration_error(confidence, right):.1f}, NLL {likelihood(rows, classes, temperature):.3f}")


def bound(rows, classes):
    """ECE and temperatures where each half is answered by what fits the other."""
    halves = [np.arange(len(classes)) % 2 == half for half in (0, 1)]
    factors = [fit(rows[half], classes[half]) for half in reversed(halves)]
    parts = [answered(rows[half], classes[half], factor) for half, factor in zip(halves, factors)]
    confidence, right = (np.concatenate(part) for part in zip(*parts))
    return expected_calibration_error(confidence, right), factors


def configured(weights):
    """The temperature that a file has."""
    try:
        with open(weights, "rb") as file:
            length = min(int.from_bytes(file.read(8), "little"), weights.stat().st_size)
            header = json.loads(file.read(length))
        config = json.loads(header["__metadata__"]["network"])
    except (KeyError, ValueError):
        raise SystemExit(f"temperature.py: {weights} has no place for a temperature; what cbam-train writes has one") from None
    if config.get("outputs", "softmax") != "softmax":
        raise SystemExit(f"temperature.py: the outputs of {weights} are {config['outputs']}, and this is for softmax")
    return config.get("temperature", 1.0)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("images")
    arguments.add_argument("truth")
    arguments.add_argument("--check", nargs=2, metavar=("IMAGES", "TRUTH"))
    arguments.add_argument("--weights", nargs="+", default=OWN, type=Path)
    options = arguments.parse_args()
    sets = {"fitted to": labelled(options.images, options.truth)}
    if options.check:
        sets["checked on"] = labelled(*options.check)
    for weights in options.weights:
        network, own = cbam.Network(str(weights)), configured(weights)
        rows = {name: (logits(network, data), classes) for name, (data, classes) in sets.items()}
        factor = fit(*rows["fitted to"])
        print(f"{weights.name}: temperature {own * factor:.3f} (the file's is {own:g})")
        for name, (numbers, classes) in rows.items():
            print(f"  {name} n = {len(classes)}: at 1: {said(numbers, classes, 1 / own)}")
            print(f"  {name} n = {len(classes)}: at {own * factor:.3f}: {said(numbers, classes, factor)}")
        if options.check:
            error, factors = bound(*rows["checked on"])
            print("  by halves of it: at", ", ".join(f"{own * factor:.3f}" for factor in factors), f"ECE {error:.1f}")


if __name__ == "__main__":
    main()
