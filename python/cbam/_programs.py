"""The programs that this package installs. Each ends the process that it is called in, with its exit status."""

from __future__ import annotations

import sys
from typing import NoReturn

from . import _cbam


def run() -> NoReturn:
    """``cbam-run``: attention maps over pictures."""
    _cbam.run_main(sys.argv)


def weights() -> NoReturn:
    """``cbam-weights``: what weights files hold."""
    _cbam.weights_main(sys.argv)


def evaluate() -> NoReturn:
    """``cbam-eval``: how well maps do."""
    _cbam.evaluate_main(sys.argv)


def view() -> NoReturn:
    """``cbam-view``: the live page."""
    _cbam.view_main(sys.argv)
