"""The notebooks run from top to bottom, as they are, without Jupyter and without a network."""

from __future__ import annotations

import ast
import json
import socket
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))


def run(source: str, place: str, names: dict[str, Any]) -> Any:
    """Runs a cell; what its last expression gives, which Jupyter would show."""
    tree = ast.parse(source, place)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, place, "exec"), names)
    return eval(compile(ast.Expression(last.value), place, "eval"), names) if last else None


def shown(value: Any) -> None:
    """As Jupyter would show it."""
    for form in ("_repr_mimebundle_", "_repr_png_", "__repr__"):
        if hasattr(value, form):
            assert getattr(value, form)()
            return


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("a notebook asks the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path: Path, monkeypatch: pytest.MonkeyPatch, offline: None) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    pytest.importorskip("PIL")
    if any("import torch" in source for source in code):
        pytest.importorskip("torch")
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, source in enumerate(code):
        shown(run(source, f"{path.name}, code cell {number}", names))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_small_and_valid(path: Path) -> None:
    assert path.stat().st_size <= 200_000
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
        else:
            assert cell["cell_type"] == "markdown"


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["a_photo", "evaluating_maps", "watch_digits"]
