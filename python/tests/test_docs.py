"""What the documentation shows runs: every block of Python of a page, in order, in one namespace."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / "PYTHON.md", ROOT / "python" / "README.md"]
BLOCK = re.compile(r"^```python( no-run)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torchvision", "PIL", "pyarrow"):
        pytest.importorskip(name)
    torch = pytest.importorskip("torch")

    text = page.read_text(encoding="utf-8")
    assert text.count("```python") == len(BLOCK.findall(text))
    # The pictures are where the repository has them, and what is written stays away from it.
    os.symlink(ROOT / "assets", tmp_path / "assets")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    names = {"__name__": "__main__"}
    try:
        for block in BLOCK.finditer(text):
            if block[1]:
                continue
            line = text.count("\n", 0, block.start(2)) + 1
            # Lines are counted as the page has them.
            exec(compile("\n" * (line - 1) + block[2], str(page), "exec"), names)
    finally:
        torch.set_num_threads(threads)
        for written in tmp_path.iterdir():
            if written.name != "assets":
                shutil.rmtree(written) if written.is_dir() else written.unlink()
