"""What the tests of `cbam.watch` share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import timm
import timm.layers
import torch
from ear import Compared, Heard
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from cbam._watch import Seen, watch


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Each test begins with the same numbers, and leaves nothing behind in PyTorch."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    fused = timm.layers.use_fused_attn()
    yield
    timm.layers.set_fused_attn(bool(fused))
    torch.set_num_threads(threads)
    assert not _get_current_dispatch_mode_stack()
    assert not torch.overrides._get_current_function_mode_stack()


def picture(*shape: int) -> torch.Tensor:
    return torch.randn(*shape or (1, 3, 48, 64))


def clean(model: nn.Module) -> bool:
    """Whether no hook is left on a model."""
    return not any(
        module._forward_hooks or module._forward_pre_hooks or module._forward_hooks_always_called for module in model.modules()
    )


def first(output: Any) -> torch.Tensor:
    """The first tensor that a model gives out."""
    while not isinstance(output, torch.Tensor):
        output = next(iter(output.values())) if isinstance(output, dict) else output[0]
    return output


def compared(model: nn.Module, x: torch.Tensor) -> tuple[Seen, Compared]:
    """What is seen of a model and what is heard, by themselves; and that what it gives out stays the same."""
    with torch.no_grad():
        with Heard(model) as heard:
            plain = model(x)
        with watch(model) as watched:
            output = model(x)
    torch.testing.assert_close(first(output), first(plain), rtol=0, atol=0 if no_fast_path(model) else 1e-6)
    assert clean(model)
    return watched.seen, Compared(watched.seen, heard.records)


def no_fast_path(model: nn.Module) -> bool:
    return not any(isinstance(module, (nn.MultiheadAttention, nn.TransformerEncoderLayer)) for module in model.modules())
