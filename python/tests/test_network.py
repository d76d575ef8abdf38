"""Networks of weights files: opened once, with names of classes, and with what a file does not say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cbam


def test_network_is_opened_once(photo: Path) -> None:
    network = cbam.Network()
    assert repr(network) == f"Network({network.name!r}, 1000 classes)"
    assert network.maps[0] == "fused"
    assert "stage5" in network.places
    assert network.notes == []
    assert np.array_equal(network.look(photo).map, cbam.look(photo, weights=network).map)
    assert min(cbam.look(photo, weights=network, size=160).input_size) == 160
    with pytest.raises(cbam.ArgumentError, match="labels: has no effect on a network that is open"):
        cbam.look(photo, weights=network, labels=["a"])
    with pytest.raises(TypeError, match="'foo' is no argument"):
        cbam.Network(foo=1)


def test_precision(photo: Path) -> None:
    with pytest.raises(cbam.ArgumentError, match="f32, f16, bf16"):
        cbam.Network(precision="f64")
    with pytest.raises(cbam.ArgumentError, match="f16 needs a GPU"):
        cbam.Network(precision="f16")
    full = cbam.Network(precision="f32").look(photo)
    try:
        brief = cbam.Network(precision="bf16").look(photo)
    except cbam.ArgumentError as error:
        assert "AVX512-BF16" in str(error)
        return
    assert brief.top[0].label == full.top[0].label
    assert 0.99 < np.corrcoef(brief.map.ravel(), full.map.ravel())[0, 1] < 1


def test_labels_of_your_own(photo: Path) -> None:
    for first in ("a", "b"):
        labels = np.array([f"{first}{number}" for number in range(1000)])
        assert cbam.look(photo, labels=labels).top[0].label.startswith(first)


def test_custom_weights(photo: Path, root: Path, tmp_path: Path) -> None:
    files = sorted((root / "assets" / "weights").glob("*lite1*.safetensors"))
    if not files:
        pytest.skip("there are no weights")
    look = cbam.look(photo, weights=files[0])
    assert look.top[0].probability is not None
    assert np.array_equal(look.map, cbam.Network(str(files[0])).look(photo).map)
    copy = tmp_path / "network.safetensors"
    copy.write_bytes(files[0].read_bytes())
    assert np.array_equal(cbam.look(photo, weights=copy).map, look.map)
    copy.unlink()
    with pytest.raises(cbam.MissingFileError, match="network.safetensors"):
        cbam.look(photo, weights=copy)
    copy.write_bytes(b"no weights at all")
    with pytest.raises(cbam.WeightsError, match="network.safetensors"):
        cbam.look(photo, weights=copy)
