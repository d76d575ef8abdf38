"""The programs that the package installs do what the light build does, and what Python sees is what they write."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cbam

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "assets" / "images"
MAPS = ["fused", "object", "spatial", "patch", "rollout", "gradcam", "eigencam:stage5", "channel:stage7", "patch@40,60"]


def program(name):
    found = shutil.which(name, path=os.path.dirname(sys.executable)) or shutil.which(name)
    return [found] if found else [sys.executable, "-c", f"import cbam._programs as p; p.{name.removeprefix('cbam-').replace('eval', 'evaluate')}()"]


def run(name, *words, cwd):
    beside = os.pathsep.join([str(Path(cbam.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": beside}
    words = [*program(name), *map(str, words)]
    return subprocess.run(words, cwd=cwd, env=environment, text=True, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    for photo in ("chelsea.jpg", "coffee.jpg"):
        words = [word for map in MAPS for word in ("--map", map)]
        done = run("cbam-run", IMAGES / photo, *words, "--maps-dir", folder, "--deterministic", "--quiet", cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("photo", ["chelsea.jpg", "coffee.jpg"])
def test_maps_are_those_of_the_program_to_the_last_bit(written, photo):
    look = cbam.look(IMAGES / photo, maps=MAPS)
    stem = Path(photo).stem
    files = sorted(written.glob(f"{stem}*.npy"))
    assert len(files) == len(MAPS)
    held = {path: np.load(path) for path in files}
    for name in MAPS:
        own = look.maps[name]
        same = [path for path, values in held.items() if values.shape == own.shape and values.tobytes() == own.tobytes()]
        assert same, f"{name} of {photo} is none of {[path.name for path in files]}"


def test_pictures_are_those_of_the_program_to_the_last_byte(tmp_path):
    photo = IMAGES / "chelsea.jpg"
    look = cbam.look(photo)
    for name, words, style in [
        ("plain.png", [], {}),
        ("constant.jpg", ["--opacity", "constant", "--alpha", "0.5", "--colormap", "viridis", "--jpeg-quality", "80"],
         {"opacity": "constant", "alpha": 0.5, "colormap": "viridis", "jpeg_quality": 80}),
        ("legend.webp", ["--legend", "--width", "300", "--refine", "--contour", "0.5"],
         {"legend": True, "width": 300, "refine": True, "contour": 0.5}),
    ]:
        done = run("cbam-run", photo, "--overlay", tmp_path / f"program-{name}", "--deterministic", "--quiet", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        look.save(tmp_path / name, **style)
        assert (tmp_path / name).read_bytes() == (tmp_path / f"program-{name}").read_bytes(), name
    done = run("cbam-run", photo, "--panel", tmp_path / "program.png", "--deterministic", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    look.save(tmp_path / "panel.png", "panel")
    assert (tmp_path / "panel.png").read_bytes() == (tmp_path / "program.png").read_bytes()


def test_programs_say_what_they_are_and_end_as_they_should(tmp_path):
    for name in ("cbam-run", "cbam-weights", "cbam-eval", "cbam-view"):
        done = run(name, "--version", cwd=tmp_path)
        assert done.returncode == 0 and "light build" in done.stdout, done
    done = run("cbam-run", tmp_path / "none.jpg", cwd=tmp_path)
    assert done.returncode != 0 and "none.jpg" in done.stderr
    assert run("cbam-run", "--nonsense", cwd=tmp_path).returncode == 2
