"""Explanations by many passes, of networks as people have them, beside the peer's."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from peers import peer

import cbam
from cbam._cbam import rank_correlation

pytestmark = pytest.mark.long


@pytest.mark.parametrize("method", ["scorecam", "ablationcam"])
def test_as_the_peer_ranks_them(method: str) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(2)
    model, pictures = timm.create_model("resnet18").eval(), torch.randn(1, 3, 96, 96)
    found = cbam.explain(model, pictures, method, 7, "layer3")
    reference = np.maximum(peer(model, pictures, method, [7], model.layer3), 0).astype(np.float32)
    assert rank_correlation(found.maps[0], reference[0]) >= 0.99
