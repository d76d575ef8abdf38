#!/usr/bin/env python3
"""Trials of formulas that make one map of a pass: measures and tables.

usage: map_trials.py --data FOLDER --work CACHE [--packages FOLDER] [--sets V1,V2,V3,K1,K2] [--frontier [--plot FILE]] [--threads 2]

FOLDER holds imagenet-sample-1000.tar, imagenette-3000.tar and caltech101.tar. The sets are made in CACHE at the first call, as
map_trials_sets.py says: V1, V2 and V3 are for choosing, K1 and K2 for one look at the end. --packages holds the unpacked Debian packages, each
in a folder of its name, and u2netp.onnx; what it lacks is fetched there with apt-get and pip. The network is benches/peers/model.py.
Measures are those of the evaluation: pointing, energy and the best-threshold IoU, against boxes and masks.
"""
import argparse
import random
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from map_trials_sets import MASK, boxes, fetch, make, pairs

SMALL = 0.33
STEPS = np.linspace(0.02, 0.98, 49)
FUSED = "w = m.L^4, fused"


# ---- one pass

class Pass:
    """The network, and what of its pass is kept."""

    def __init__(self, peers):
        sys.path.insert(0, str(peers))
        import model
        self.net, self.kept = model.load(), {}
        keep = lambda name: lambda _module, _input, out: self.kept.__setitem__(name, out)
        self.net.attention["stage5"].register_forward_hook(keep("stage5"))
        self.net.attention["stage7"].register_forward_hook(keep("stage7"))
        self.net.backbone.head_act.register_forward_hook(keep("head"))

    @torch.inference_mode()
    def scores(self, pixels):
        """Of pixels [H, W, 3], 0 to 255: the classes' scores."""
        x = (torch.from_numpy(np.array(pixels, np.float32)).permute(2, 0, 1)[None] - 127) / 128
        return self.net(x)[0][0]

    @torch.inference_mode()
    def __call__(self, pixels, class_=None):
        """Of pixels [H, W, 3], 0 to 255: the maps, features and attention, by name."""
        x = (torch.from_numpy(np.array(pixels, np.float32)).permute(2, 0, 1)[None] - 127) / 128
        outputs = dict(zip(self.net.names, self.net(x)))
        chances = outputs["logits"][0].softmax(0)
        class_ = int(chances.argmax()) if class_ is None else class_
        head = self.kept["head"][0]
        out = {"class": np.array(class_), "chance": np.array(float(chances[class_]))}
        out["cam"] = torch.einsum("k,khw->hw", self.net.backbone._fc.weight[class_], head).numpy()
        out["spatial"] = outputs["stage7.spatial"][0].numpy()
        for stage in ("stage5", "stage7"):
            out[stage] = self.kept[stage][0].half().numpy()  # behind the attention
            out[f"{stage}.attention"] = outputs[f"{stage}.patch"][0].mean(0).half().numpy()  # [queries, keys]
        out["head"] = head.half().numpy()
        return out


def input_of(picture):
    """The picture as the network sees it: short side 224, long side rounded to a multiple of 32, bicubic."""
    scale = 224 / min(picture.size)
    sides = [224 if side == min(picture.size) else max(1, round(side * scale / 32)) * 32 for side in picture.size]
    return np.asarray(picture.resize(sides, Image.BICUBIC))


def save_pairs(folder, run, files, count=300):
    """Pictures of two things, asked for the likelier of their classes, where that is among the five likeliest of all."""
    ids = Path(__file__).resolve().parents[1] / "crates/cbam-core/assets/imagenet_wordnet_ids.txt"
    number = 0
    for pixels, masks in pairs([str(file) for file in files], ids.read_text().split()):
        scores = run.scores(pixels)
        class_ = max(masks, key=lambda class_: scores[class_])
        if (scores > scores[class_]).sum() < 5 and number < count:
            np.savez(folder / f"{number:04}.npz", name=f"V3 {number}", pixels=pixels, mask=masks[class_], **run(pixels, class_))
            number += 1


def cache(name, args):
    """The files of a set, made at the first call."""
    folder = args.work / name
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        run, listed = Pass(args.peers), []
        if name == "V3":
            save_pairs(folder, run, cache("V1", args))
            (folder / "done").touch()
            return sorted(folder.glob("*.npz"))
        for number, (path, picture, mask) in enumerate(make(name, args.data, args.packages, args.threads, listed)):
            pixels = input_of(picture)
            size = pixels.shape[1], pixels.shape[0]
            mask = np.asarray(Image.fromarray(mask.astype(np.float32)).resize(size, Image.BILINEAR)) > MASK
            np.savez(folder / f"{number:04}.npz", name=path, pixels=pixels, mask=mask, **run(pixels))
        if listed:
            lines = ["number\tstamp\tstamp_sha256\tground\tground_sha256", *("\t".join(line) for line in listed)]
            (args.work / f"{name}.tsv").write_text("\n".join(lines) + "\n")
        (folder / "done").touch()
    return sorted(folder.glob("*.npz"))


# ---- formulas: from a pass to a map, on a grid or at the picture's size

def on(values, grid):
    """Bilinear resampling with half-pixel centres, as Pillow's (and the crate's)."""
    if values.shape == tuple(grid):
        return values
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize((grid[1], grid[0]), Image.BILINEAR))


def received(pass_, stage):
    """What each patch receives: 1 where attention is uniform."""
    attention = pass_[f"{stage}.attention"].astype(np.float32)
    return (attention.mean(0) * attention.shape[0]).reshape(pass_[stage].shape[1:])


def over_peak(values):
    values = np.maximum(values, 0)
    return values / max(float(values.max()), 1e-12)


def attended(pass_):
    """s·√p on the finest grid of the patch attention."""
    grid = pass_["stage5"].shape[1:]
    p = received(pass_, "stage5") * on(received(pass_, "stage7"), grid)
    return on(pass_["spatial"], grid) * np.maximum(p, 0) ** 0.25


def fused_before(pass_):
    """What `fused` was until these trials."""
    m = attended(pass_)
    m = m * on(over_peak(pass_["cam"]), m.shape)
    return np.maximum(0, m - m.mean())


def eigencam(pass_):
    """The first principal component of the head's features, its sign by their energy."""
    f = pass_["head"].astype(np.float32)
    flat = f.reshape(f.shape[0], -1)
    u = np.linalg.eigh(flat.T @ flat)[1][:, -1].reshape(f.shape[1:])
    return np.maximum(u if u.sum() > 0 else -u, 0)


def rollout(pass_):
    a5, a7 = (pass_[f"{stage}.attention"].astype(np.float32) for stage in ("stage5", "stage7"))
    (rows, columns), grid = pass_["stage7"].shape[1:], pass_["stage5"].shape[1:]
    given = np.full(len(a7), 1 / len(a7)) @ (a7 + np.eye(len(a7))) / 2
    given = given.reshape(rows, columns).repeat(2, 0).repeat(2, 1)[:grid[0], :grid[1]].ravel() / 4
    return ((given @ (a5 + np.eye(len(a5))) / 2) * len(a5)).reshape(grid)


def finest(pass_):
    return pass_["stage5"].shape[1:]


def looked_at(pass_, by_attention=0.75, by_class=1):
    """m = P^3/4 * c: P is the geometric mean of the received patch attentions, c the class activation over its peak."""
    p = np.sqrt(received(pass_, "stage5") * on(received(pass_, "stage7"), finest(pass_)))
    return p ** by_attention * on(over_peak(pass_["cam"]), p.shape) ** by_class


def alike(m, pass_, power=4):
    """w = m * L^4: L says how like a cell's features are to those looked at and unlike the others', (1 + cos(f, u - v)) / 2.

    f are a cell's features at length 1, u their mean weighted with m, v their mean weighted with 1 - m / max(m).
    """
    f = pass_["stage5"].astype(np.float32).reshape(len(pass_["stage5"]), -1)
    f = f / np.maximum(np.linalg.norm(f, axis=0), 1e-6)
    weights = over_peak(m).ravel()
    u, v = (f @ w / max(float(w.sum()), 1e-12) for w in (weights, 1 - weights))
    cosine = (u - v) @ f / max(float(np.linalg.norm(u - v)), 1e-12)
    return m * ((1 + cosine.reshape(m.shape)) / 2) ** power


def above_mean(m):
    return np.maximum(0, m - m.mean())


def filled(w, share=0.5):
    """w / (w + share * mean(w)): peaks become plateaus."""
    return w / np.maximum(w + share * w.mean(), 1e-12)


def trial(formula, seed=looked_at):
    return lambda pass_: formula(alike(seed(pass_), pass_))


def window_means(a, radius):
    sides = (2 * radius + 1, 2 * radius + 1) + (1,) * (a.ndim - 2)
    inside = ndimage.uniform_filter(np.ones(a.shape[:2], np.float32), sides[:2], mode="constant")
    return ndimage.uniform_filter(a, sides, mode="constant") / inside.reshape(inside.shape + (1,) * (a.ndim - 2))


def along_edges(formula, radius=1.5, flatness=1e-3):
    """The map by the guided filter of --refine (He, Sun, Tang 2010); the radius in cells of the map."""
    def refined(pass_):
        p, (rows, columns) = over_peak(formula(pass_)), pass_["mask"].shape
        cells = max(1, round(radius * (rows / p.shape[0] + columns / p.shape[1]) / 2))
        p = np.asarray(Image.fromarray(p.astype(np.float32)).resize((columns, rows), Image.BICUBIC)).clip(0, 1)
        colours = pass_["pixels"].astype(np.float32) / 255
        means, mean = window_means(colours, cells), window_means(p, cells)
        with_map = window_means(colours * p[..., None], cells) - means * mean[..., None]
        products = (colours[..., :, None] * colours[..., None, :]).reshape(rows, columns, 9)
        products = window_means(products, cells).reshape(rows, columns, 3, 3)
        covariance = products - means[..., :, None] * means[..., None, :] + flatness * np.eye(3, dtype=np.float32)
        slopes = np.linalg.solve(covariance, with_map[..., None])[..., 0]
        constant = mean - (slopes * means).sum(-1)
        return ((window_means(slopes, cells) * colours).sum(-1) + window_means(constant, cells)).clip(0, 1)
    return refined


def class_alone(pass_):
    return on(over_peak(pass_["cam"]), finest(pass_))


def gate_and_class(pass_):
    return on(pass_["spatial"], finest(pass_)) * class_alone(pass_)


COMPARED = {
    "fused before": fused_before,
    "gradcam": lambda pass_: np.maximum(pass_["cam"], 0),
    "patch": lambda pass_: received(pass_, "stage5"),
    "rollout": rollout,
    "spatial": lambda pass_: pass_["spatial"],
    "eigencam": eigencam,
}
TRIED = {
    "P": lambda pass_: looked_at(pass_, 1, 0),
    "m": looked_at,
    "m - mean": lambda pass_: above_mean(looked_at(pass_)),
    "m.L^3": lambda pass_: alike(looked_at(pass_), pass_, 3),
    FUSED: trial(lambda w: w),
    "the same, m = P.sqrt(c)": trial(lambda w: w, lambda pass_: looked_at(pass_, 1, 0.5)),
    "the same, m = P.c": trial(lambda w: w, lambda pass_: looked_at(pass_, 1, 1)),
    "sqrt(w)": trial(np.sqrt),
    "w/(w + mean/4)": trial(lambda w: filled(w, 0.25)),
    "w/(w + mean/2), object": trial(filled),
    "the same, m = P.sqrt(c) ": trial(filled, lambda pass_: looked_at(pass_, 1, 0.5)),
    "the same, m = P (no class)": trial(filled, lambda pass_: looked_at(pass_, 1, 0)),
    "the same, m = c (class alone)": trial(filled, class_alone),
    "the same, m = s.c (gate and class)": trial(filled, gate_and_class),
    "fused, --refine": along_edges(trial(lambda w: w)),
    "object, --refine": along_edges(trial(filled)),
}


# ---- measures

def score(a, inside):
    """Of a map scaled to 0 to 1: pointing, energy, IoU at each of STEPS."""
    inside, flat = inside.ravel(), a.ravel()
    bins = np.searchsorted(STEPS.astype(a.dtype), flat, "right")  # how many thresholds it reaches
    hits, reached = (np.bincount(b, minlength=50)[::-1].cumsum()[::-1][1:] for b in (bins[inside], bins))
    iou = hits / np.maximum(inside.sum() + reached - hits, 1)
    return np.r_[inside[flat.argmax()], flat[inside].sum() / max(float(flat.sum()), 1e-12), iou]


def scaled(values, size):
    """A map at the picture's size, from 0 to 1."""
    a = on(np.asarray(values, np.float32), size)
    return (a - a.min()) / max(float(a.max() - a.min()), 1e-12)


# ---- tables

def measure(files, formulas, truths=("box", "mask")):
    """Of each formula and truth an array of measures by picture; and the truths' areas."""
    rows, areas = {name: {truth: [] for truth in truths} for name in formulas}, {truth: [] for truth in truths}
    for file in files:
        with np.load(file) as stored:
            pass_ = dict(stored)
        inside = {"box": boxes(pass_["mask"]), "mask": pass_["mask"]}
        for truth in truths:
            areas[truth].append(inside[truth].mean())
        for name, formula in formulas.items():
            a = scaled(formula(pass_), pass_["mask"].shape)
            for truth in truths:
                rows[name][truth].append(score(a, inside[truth]))
    of_truths = lambda lists: {truth: np.array(values) for truth, values in lists.items()}
    return {name: of_truths(of) for name, of in rows.items()}, of_truths(areas)


def figures(rows):
    """Pointing, energy and IoU at the set's best threshold of each picture, in per cent; and that threshold."""
    best = rows[:, 2:].mean(0).argmax()
    return 100 * np.c_[rows[:, :2], rows[:, 2 + best]], STEPS[best]


def interval(differences):
    """95 % of the means of 2,000 resamples."""
    picks = np.random.default_rng(0).integers(0, len(differences), (2000, len(differences)))
    low, high = np.percentile(differences[picks].mean(1), (2.5, 97.5))
    return f"{differences.mean():+.1f} [{low:+.1f}, {high:+.1f}]"


def report(name, files):
    rows, areas = measure(files, {**COMPARED, **TRIED})
    groups = [(truth, kind, pick(areas[truth])) for truth in areas
              for kind, pick in (("all", lambda a: a > 0), ("small", lambda a: a <= SMALL))]
    print(f"\n### {name}: pointing / energy / IoU @ threshold\n\n| map | " + " | ".join(
        f"{truth}, {kind}, n = {chosen.sum()}" for truth, kind, chosen in groups) + " |\n" + "|---" * (1 + len(groups)) + "|")
    for formula, of in rows.items():
        cells = []
        for truth, _, chosen in groups:
            values, threshold = figures(of[truth][chosen])
            cells.append("{:.1f} / {:.1f} / {:.1f} @{:.2f}".format(*values.mean(0), threshold))
        print(f"| {formula} | " + " | ".join(cells) + " |")
    for rival in ("gradcam", "fused before"):
        print(f"\n{name}, less {rival}: paired, 95 % of 2,000 bootstrap resamples\n\n| map | " + " | ".join(
            f"{truth}, {kind}: {what}" for truth, kind, _ in groups for what in ("pointing", "energy", "IoU")) + " |")
        print("|---" * (1 + 3 * len(groups)) + "|")
        for formula in TRIED:
            cells = []
            for truth, _, chosen in groups:
                difference = figures(rows[formula][truth][chosen])[0] - figures(rows[rival][truth][chosen])[0]
                cells += [interval(difference[:, which]) for which in range(3)]
            print(f"| {formula} | " + " | ".join(cells) + " |")


@torch.inference_mode()
def frontier(files, args):
    """Average drop and increase on 150 pictures of V1 beside the energy on its small boxes."""
    net = Pass(args.peers).net
    formulas = {name: COMPARED[name] for name in ("fused before", "gradcam")}
    formulas |= {name: TRIED[name] for name in ("m", FUSED, "sqrt(w)")}
    formulas |= {f"w/(w + {share} mean)": trial(lambda w, share=share: filled(w, share)) for share in (0.1, 0.25, 0.35, 0.5, 1)}
    rows, areas = measure(files, formulas, ("box",))
    print("\n### Frontier\n\n| map | drop | increase | small: pointing / energy / IoU |\n|---|---|---|---|")
    losses = {name: [] for name in formulas}
    for file in random.Random(5).sample(files, min(150, len(files))):
        with np.load(file) as stored:
            pass_ = dict(stored)
        x = (torch.from_numpy(pass_["pixels"].astype(np.float32)).permute(2, 0, 1)[None] - 127) / 128
        for name, formula in formulas.items():
            a = torch.from_numpy(scaled(formula(pass_), pass_["mask"].shape).astype(np.float32))
            now, before = float(net(x * a)[0][0].softmax(0)[int(pass_["class"])]), float(pass_["chance"])
            losses[name].append((100 * max(0, before - now) / before, 100 * (now > before)))
    lines = {name: [*np.mean(loss, 0), *figures(rows[name]["box"][areas["box"] <= SMALL])[0].mean(0)]
             for name, loss in losses.items()}
    for name, values in lines.items():
        print("| {} | {:.1f} | {:.1f} | {:.1f} / {:.1f} / {:.1f} |".format(name, *values))
    if args.plot:
        plot(lines, args.plot)


def plot(lines, path):
    """Average drop over energy, a point for each map."""
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(6.4, 4), dpi=120, layout="constrained")
    for name, (drop, _, _, energy, _) in lines.items():
        axes.plot(energy, drop, "o", color="tab:red" if name == "gradcam" else "tab:blue")
        axes.annotate(name, (energy, drop), xytext=(6, -4), textcoords="offset points", fontsize=8)
    axes.set(xlabel="energy in small boxes, %", ylabel="average drop, % (lower keeps more)", xlim=(46, 86))
    axes.grid(alpha=0.3)
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the training pictures' archives")
    parser.add_argument("--work", type=Path, required=True, help="where passes are kept")
    parser.add_argument("--packages", type=Path, help="the folder of the unpacked packages, if not WORK/packages")
    peers = Path(__file__).resolve().parents[1] / "benches/peers"
    parser.add_argument("--peers", type=Path, default=peers, help="model.py's folder")
    parser.add_argument("--sets", default="V1,V2,V3,K1,K2")
    parser.add_argument("--frontier", action="store_true", help="average drop and increase too; minutes")
    parser.add_argument("--plot", type=Path, help="with --frontier: a picture of it")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.packages = args.packages or args.work / "packages"
    torch.set_num_threads(args.threads)
    if not all((args.work / name / "done").exists() for name in args.sets.split(",")):
        fetch(args.packages)
    for name in args.sets.split(","):
        report(name, cache(name, args))
    if args.frontier:
        frontier(cache("V1", args), args)


if __name__ == "__main__":
    main()
