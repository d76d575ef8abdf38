"""The package as a whole: what it imports and needs, what it names, and that what its documentation says is so."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import inspect
import re
import typing
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import cbam

FILES = sorted(Path(cbam.__file__).parent.glob("*.py"))
ABSENT = {"torch", *(name for name in ("daft", "pyarrow", "ray") if importlib.util.find_spec(name) is None)}
WITHOUT_TORCH = [
    file.stem
    for file in FILES
    if file.stem != "__init__" and not ABSENT & set(re.findall(r"^import (\w+)", file.read_text(), re.MULTILINE))
]
LARGE = ("torch", "PIL", "scipy", "pandas", "matplotlib", "asyncio", "unittest", "multiprocessing", "concurrent", "email", "http")

LOOK = "print(cbam.look('assets/images/chelsea.jpg').top[0].label)\n"
WATCH = (
    "import torch\n"
    "model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Sigmoid()).eval()\n"
    "with cbam.watch(model) as watched, torch.no_grad(): model(torch.zeros(1, 3, 9, 9))\n"
    "print(watched.seen)\n"
)
NO_TORCH = (
    "import sys\n"
    "class Hidden:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name.split('.')[0] == 'torch': raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
    "sys.meta_path.insert(0, Hidden())\n"
)


def test_import_is_light(python: Callable[..., Any]) -> None:
    program = f"import sys, numpy, cbam; print([name for name in {LARGE} if name in sys.modules])"
    assert python(program).stdout.strip() == "[]"


def test_import_is_quick(python: Callable[..., Any]) -> None:
    program = "import time, numpy\nbegun = time.perf_counter()\nimport cbam\nprint(time.perf_counter() - begun)"
    python("import cbam")
    took = min(float(python(program).stdout) for _ in range(3))
    print(f"import cbam: {took * 1e3:.0f} ms beyond NumPy")
    assert took < 2, "something large is imported"


@pytest.mark.parametrize("imports", ["import cbam, torch", "import torch, cbam"])
def test_before_and_after_torch(python: Callable[..., Any], imports: str) -> None:
    pytest.importorskip("torch")
    lines = python(f"{imports}\n{LOOK}{WATCH}{LOOK}").stdout.splitlines()
    assert lines[0] == lines[2] == "Egyptian cat"
    assert lines[1].startswith("Seen(")


def test_without_torch(python: Callable[..., Any]) -> None:
    program = (
        f"{NO_TORCH}import cbam\n{LOOK}"
        "for name in ('watch', 'explain', 'Seen'):\n"
        "    try: getattr(cbam, name)\n"
        "    except ImportError as error: print(error)\n"
        "try: from cbam import explain\n"
        "except ImportError as error: print(error, error.name)\n"
        "try: cbam.foo\n"
        "except AttributeError as error: print(error)\n"
    )
    lines = python(program).stdout.splitlines()
    why = "looks into a PyTorch model, and PyTorch is not installed"
    assert lines[0] == "Egyptian cat"
    assert lines[1:4] == [f"cbam.{name} {why}" for name in ("watch", "explain", "Seen")]
    assert lines[4] == f"cbam.explain {why} torch"
    assert lines[5] == "module 'cbam' has no attribute 'foo'"


def public() -> dict[str, Any]:
    """What the package names, and its errors."""
    pytest.importorskip("torch")
    pytest.importorskip("pyarrow")
    return {name: getattr(cbam, name) for name in cbam.__all__}


def test_all_is_all() -> None:
    assert cbam.__all__ == sorted(cbam.__all__)
    assert set(cbam.__all__) <= set(dir(cbam))
    assert {name for name in cbam.errors.__all__} <= set(cbam.__all__)
    here = ast.parse(Path(cbam.__file__).read_text())
    bound = {
        alias.asname or alias.name
        for node in ast.walk(here)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    assert bound == set(cbam.__all__)
    assert cbam.__version__.count(".") == 2


def test_everything_has_a_docstring() -> None:
    for name, thing in public().items():
        if isinstance(thing, str):
            continue
        assert inspect.getdoc(thing), name
        if not inspect.isclass(thing) or not thing.__module__.startswith("cbam"):
            continue
        for part, what in vars(thing).items():
            if not part.startswith("_") and (callable(what) or isinstance(what, property)):
                assert inspect.getdoc(what), f"{name}.{part}"


def test_everything_is_typed() -> None:
    for name, thing in public().items():
        if not inspect.isfunction(thing):
            continue
        hints = {of.name for of in inspect.signature(thing).parameters.values() if of.annotation is of.empty}
        assert not hints, name
        assert inspect.signature(thing).return_annotation is not inspect.Signature.empty, name
    assert typing.get_type_hints(cbam.Style)["alpha"] is float
    assert (Path(cbam.__file__).parent / "py.typed").exists()


def test_errors_are_pythons_own_too() -> None:
    kinds = {name: thing for name, thing in public().items() if name.endswith("Error")}
    for name, kind in kinds.items():
        assert issubclass(kind, cbam.CbamError), name
    assert issubclass(cbam.CbamWarning, UserWarning)


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_examples(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    module: ModuleType = importlib.import_module(f"cbam.{name}")
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(f"cbam.{name}") for name in WITHOUT_TORCH]
    assert "_look" in WITHOUT_TORCH
    counts = [len(test.examples) for module in modules for test in finder.find(module)]
    assert sum(counts) > 5


def test_without_pyarrow(python: Callable[..., Any]) -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import cbam\n"
        "try: cbam.Attend\n"
        "except ImportError as error: print(error)\n"
    )
    assert python(program).stdout == "cbam.Attend works on Arrow tables, and pyarrow is not installed\n"
