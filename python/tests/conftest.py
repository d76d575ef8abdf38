"""What tests share: photos, and processes of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "assets" / "images"

# Beside NumPy alone, what is about PyTorch models and Arrow tables cannot be tested.
_NEEDED = {"torch": ["test_explain*.py", "test_training.py", "test_watch*.py"], "pyarrow": ["test_attend.py", "test_engines.py"]}
collect_ignore_glob = [name for module, names in _NEEDED.items() if importlib.util.find_spec(module) is None for name in names]


def surroundings(**more: str) -> dict[str, str]:
    """What a Python of its own is given, so that it finds what this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **more}


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def photo() -> Path:
    """A photo of a cat, 451 by 300."""
    return PHOTOS / "chelsea.jpg"


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """A small photo's pixels, ``[200, 300, 3]``; read only, so that nothing writes into what it was given."""
    with Image.open(PHOTOS / "chelsea.jpg") as image:
        array = np.array(image.convert("RGB").resize((300, 200)))
    array.setflags(write=False)
    return array


@pytest.fixture(scope="session")
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program in a Python of its own, at the root of the repository."""

    def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = surroundings(**{"OMP_NUM_THREADS": "2", **environment})
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env=given, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    return run
