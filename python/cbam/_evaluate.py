"""How good maps are: where they point, how sure the network is and how right, and whether its decision rests on what they name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _cbam
from ._look import Look, Network
from ._pictures import array_of
from .errors import ArgumentError, InputError, warn

Truth: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any]"
"""A file or folder as ``cbam-eval --truth`` takes it (a table, COCO's JSON, a folder of Pascal VOC's XML or of masks), whose pictures are
matched with the looks by their names; or one truth for each look: a mask ``[H, W]``; boxes, each ``(left, top, right, bottom)`` in pixels;
the number of a class; a dictionary with any of ``mask``, ``boxes`` and ``class_``; or ``None``."""


@dataclass(frozen=True)
class Share:
    """A share or a mean over pictures.

    Attributes:
        value: 0 to 1.
        low, high: its 95 % interval: Wilson's of a share, 1.96 standard errors around a mean.
        n: how many pictures it is of.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}] (n = {self.n})"


@dataclass(frozen=True)
class MapFigures:
    """What one map scores over a set of pictures.

    Attributes:
        pointing: how often its strongest pixel lies on an object.
        centre: how often the central pixel does: what a map must beat.
        energy: the share of its sum that lies on objects.
        iou: its overlap with the objects, at the one threshold that is best for the set.
        threshold: that threshold, as a share of its range.
        boxes: how often the box that it draws overlaps an object's by at least 0.3, 0.5 and 0.7 (MaxBoxAcc).
        insertion, deletion: the area under the class's probability as pixels come back, or go, the map's highest first.
        drop: the share of the probability that is lost where the picture is multiplied with the map.
        increase: how often the probability grows by that.
        road: what the least relevant pixels change less than the most relevant, filled in from their surroundings.
    """

    pointing: Share | None = None
    centre: Share | None = None
    energy: Share | None = None
    iou: Share | None = None
    threshold: float | None = None
    boxes: dict[float, Share] | None = None
    insertion: Share | None = None
    deletion: Share | None = None
    drop: Share | None = None
    increase: Share | None = None
    road: Share | None = None


@dataclass(frozen=True)
class Evaluation:
    """What looks are worth.

    Attributes:
        maps: the figures of each map, by name.
        top1, top5: how often the true class comes first, or among the first five; ``None`` where no class is known.
        ece: the expected calibration error, 0 to 1; 0 is best.
        nll: the mean negative log likelihood of the true class.
        overconfidence: the mean confidence less the accuracy.
        pictures: what each picture scores, map by map: ``pointing``, ``energy``, and what was measured with a model.
        remarks: what of the truth was left out, changed or assumed.
    """

    maps: dict[str, MapFigures]
    top1: Share | None
    top5: Share | None
    ece: float | None
    nll: float | None
    overconfidence: float | None
    pictures: list[dict[str, dict[str, float]]]
    remarks: list[str]

    def __str__(self) -> str:
        names = ("pointing", "energy", "iou", "insertion", "deletion", "drop", "increase", "road")
        used = [name for name in names if any(getattr(of, name) is not None for of in self.maps.values())]
        rows = [["map", *used]]
        for map, of in self.maps.items():
            shares = [getattr(of, name) for name in used]
            rows.append([map, *("" if share is None else f"{100 * share.value:.1f}" for share in shares)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        if self.top1 is not None:
            lines.append(f"top-1 {self.top1}, ECE {100 * (self.ece or 0):.1f}")
        return "\n".join(lines)


@dataclass
class _Known:
    """What is known of a picture."""

    objects: _cbam.Objects | None = None
    class_: int | None = None


def evaluate(
    looks: Look | Sequence[Look],
    truth: Truth | None = None,
    model: Network | Callable[[Any], Any] | None = None,
    *,
    maps: str | Sequence[str] | None = None,
    inputs: Any = None,
    outputs: str = "softmax",
    batch: int = 16,
) -> Evaluation:
    """Measures maps, and the network that they are of.

    Args:
        looks: of pictures, each with the same maps.
        truth: see :data:`Truth`. Without one, only faithfulness is measured.
        model: measures faithfulness, to this model, which it runs 62 times for each map: the :class:`Network` that looked, or another one;
            or, of looks by ``watch``, your own PyTorch model.
        maps: which maps are measured; by default those that were asked for.
        inputs: with your own model, what it took: a tensor ``[N, C, H, W]``, a picture for each look, on its device.
        outputs: what your own model gives out: ``softmax`` (logits), ``sigmoid`` or ``probabilities``.
        batch: the most pictures that the model takes at once.

    Raises:
        ArgumentError, TruthError: for what cannot be measured.

    Warns:
        CbamWarning: of what of the truth was left out, changed or assumed.
    """
    looks = [looks] if isinstance(looks, Look) else list(looks)
    if not looks or not all(isinstance(look, Look) for look in looks):
        raise ArgumentError("looks: are none; cbam.look makes them")
    if truth is None and model is None:
        raise ArgumentError("truth: there is neither truth nor model, so nothing to measure by")
    names = [maps] if isinstance(maps, str) else list(maps or looks[0].asked)
    known, remarks = _known(looks, truth)
    for remark in remarks:
        warn(remark)
    if truth is not None and not any(of.objects is not None or of.class_ is not None for of in known):
        raise ArgumentError("truth: nothing of it is about these pictures")
    pictures: list[dict[str, dict[str, float]]] = [{} for _ in looks]
    faithful = _faithfulness(looks, names, model, inputs, outputs, batch)
    figures = {name: _figures(looks, name, known, faithful.get(name), pictures) for name in names}
    return Evaluation(figures, *_correctness(looks, known), pictures, remarks)


def _known(looks: list[Look], truth: Truth | None) -> tuple[list[_Known], list[str]]:
    if truth is None:
        return [_Known() for _ in looks], []
    if isinstance(truth, (str, os.PathLike)):
        return _of_file(looks, os.fspath(truth))
    if isinstance(truth, Mapping):
        missing = [name for name in truth if name not in {look.name for look in looks}]
        if missing:
            raise ArgumentError(f"truth: {missing[0]!r} is the name of no look")
        return [_of_one(look, truth.get(look.name)) for look in looks], []
    given = list(truth)
    if len(given) != len(looks):
        raise ArgumentError(f"truth: {len(given)} for {len(looks)} looks; give one for each, None where nothing is known")
    return [_of_one(look, of) for look, of in zip(looks, given)], []


def _of_file(looks: list[Look], path: str) -> tuple[list[_Known], list[str]]:
    """The rows of a truth that are of the looks' pictures: by their paths, as far back as the truth's go."""
    paths = [os.path.abspath(look.name).replace(os.sep, "/") for look in looks]
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    short = [os.path.relpath(path, common).replace(os.sep, "/") for path in paths]
    truths = _cbam.Truths(path, looks[0]._raw.labels, short)
    rows = {name: row for row, name in enumerate(truths.names)}
    known: list[_Known] = []
    for look, name, whole in zip(looks, short, paths):
        ends = [name, *("/".join(whole.split("/")[start:]) for start in range(whole.count("/") + 1))]
        row = next((rows[end] for end in ends if end in rows), None)
        known.append(_Known() if row is None else _Known(truths.objects(row, look.size), truths.class_(row)))
    return known, truths.remarks


def _of_one(look: Look, of: Any) -> _Known:
    if of is None:
        return _Known()
    if isinstance(of, Mapping):
        unknown = set(of) - {"mask", "boxes", "class_"}
        if unknown:
            raise ArgumentError(f"truth: {sorted(unknown)[0]!r} is none of mask, boxes, class_")
        if "mask" in of and "boxes" in of:
            raise ArgumentError("truth: has both a mask and boxes; which of them is meant?")
        objects = _of_one(look, of.get("mask", of.get("boxes"))).objects
        return _Known(objects, None if of.get("class_") is None else int(of["class_"]))
    if isinstance(of, (int, np.integer)):
        return _Known(None, int(of))
    values = np.asarray(of) if isinstance(of, (list, tuple)) else array_of(of)
    width, height = look.size
    if values.shape == (height, width):
        return _Known(_cbam.Objects.in_mask(np.ascontiguousarray(values != 0)))
    if values.shape == (4,):
        values = values[None]
    if values.ndim == 2 and values.shape[1] == 4:
        return _Known(_cbam.Objects.in_boxes(look.size, [tuple(map(float, box)) for box in values]))
    raise InputError(
        f"truth: has shape {list(values.shape)}; a mask of this picture is [{height}, {width}], and boxes are [boxes, 4]"
    )


def _figures(
    looks: list[Look],
    name: str,
    known: list[_Known],
    faithful: list[dict[str, float]] | None,
    pictures: list[dict[str, dict[str, float]]],
) -> MapFigures:
    scores: list[_cbam.Score] = []
    for look, of, picture in zip(looks, known, pictures):
        if of.objects is not None:
            score = _cbam.score(look._raw, name, of.objects)
            scores.append(score)
            picture.setdefault(name, {}).update(pointing=float(score.pointing), energy=score.energy)
    figures: dict[str, Any] = {}
    if scores:
        measured = json.loads(_cbam.localisation(scores))
        of, n = measured["localisation"], len(scores)
        figures = {key: _mean(of[key], n) for key in ("energy", "iou")}
        figures |= {key: _proportion(round(of[key]["value"] * n), n) for key in ("pointing", "centre")}
        figures["threshold"] = of["threshold"]
        figures["boxes"] = {box["iou"]: Share(**box["share"], n=n) for box in measured["boxes"]}
    if faithful is not None:
        for picture, row in zip(pictures, faithful):
            picture.setdefault(name, {}).update(row)
        for key in ("insertion", "deletion", "drop", "road"):
            figures[key] = _mean_of([row[key] for row in faithful])
        figures["increase"] = _proportion(sum(int(row["increase"]) for row in faithful), len(faithful))
    return MapFigures(**figures)


def _mean(of: Mapping[str, float], n: int) -> Share:
    half = 1.96 * of["standard_error"]
    return Share(of["value"], of["value"] - half, of["value"] + half, n)


def _mean_of(values: list[float]) -> Share:
    n = len(values)
    mean = float(np.mean(values))
    half = 1.96 * float(np.std(values, ddof=1)) / n**0.5 if n > 1 else 0.0
    return Share(mean, mean - half, mean + half, n)


def _proportion(successes: int, n: int) -> Share:
    return Share(**json.loads(_cbam.proportion(successes, n)), n=n)


def _correctness(looks: list[Look], known: list[_Known]) -> tuple[Any, Any, Any, Any, Any]:
    pairs = [(look, of.class_) for look, of in zip(looks, known) if of.class_ is not None and len(look.probabilities)]
    if not pairs:
        return None, None, None, None, None
    raw = json.loads(_cbam.correctness([look._raw for look, _ in pairs], [class_ for _, class_ in pairs]))
    accuracy, calibration = raw["accuracy"], raw["calibration"]
    top = [Share(**accuracy[key], n=accuracy["n"]) for key in ("top1", "top5")]
    return top[0], top[1], calibration["ece"], calibration["nll"], calibration["overconfidence"]


def _faithfulness(
    looks: list[Look], names: list[str], model: Any, inputs: Any, outputs: str, batch: int
) -> dict[str, list[dict[str, float]]]:
    if model is None:
        if inputs is not None:
            raise ArgumentError("inputs: have no effect without a model")
        return {}
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number, look in enumerate(looks):
        if isinstance(model, Network):
            if inputs is not None:
                raise ArgumentError("inputs: are for a model of your own")
            pixels, run, kind = model._raw.input(look._raw), model._raw.numbers, model._raw.outputs
        else:
            pixels, run, kind = _own(inputs, number, len(looks)), _runner(model, inputs), outputs
        class_ = look.explained.number if look.explained else int(look.probabilities.argmax()) if len(look.probabilities) else None
        if class_ is None:
            numbers = run(pixels[None])
            class_ = int(np.argmax(numbers[0])) if numbers.shape[1] > 1 else int(numbers[0, 0] > 0)
        for name in names:
            measured[name].append(json.loads(_cbam.faithful(look._raw, name, pixels, class_, run, kind, batch)))
    return measured


def _own(inputs: Any, number: int, count: int) -> NDArray[np.float32]:
    shape = list(getattr(inputs, "shape", []))
    if len(shape) != 4 or shape[0] != count:
        raise ArgumentError(
            f"inputs: of your own model are what it took, a tensor [{count}, C, H, W], a picture for each look; they are {shape or inputs}"
        )
    return np.ascontiguousarray(inputs[number].detach().to("cpu").float().numpy())


def _runner(model: Any, inputs: Any) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    import torch

    from ._explain import leading

    def run(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            given = torch.from_numpy(pixels).to(device=inputs.device, dtype=inputs.dtype)
            return np.ascontiguousarray(leading(model(given)).float().cpu().numpy())

    return run
