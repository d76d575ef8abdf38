"""scripts/temperature.py, which fits the temperature of a weights file."""
import importlib.util
import sys
from pathlib import Path

import cbam
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    path = ROOT / "scripts" / "temperature.py"
    if not path.exists():
        pytest.skip("the package's tests are elsewhere than its scripts")
    spec = importlib.util.spec_from_file_location("temperature", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drawn(temperature, n=20_000, classes=10):
    """Logits, and classes that are as likely as these say at that temperature."""
    random = np.random.default_rng(7)
    rows = 3 * random.standard_normal((n, classes))
    chances = np.exp(rows / temperature)
    sums = np.cumsum(chances / chances.sum(1, keepdims=True), 1)
    return rows, (random.random((n, 1)) > sums).sum(1)


def test_a_temperature_is_found_again_and_calibrates(script):
    for temperature in (0.5, 1.0, 2.5):
        rows, classes = drawn(temperature)
        found = script.fit(rows, classes)
        assert abs(np.log(found / temperature)) < 0.05
        confidence, right = script.answered(rows, classes, found)
        assert script.expected_calibration_error(confidence, right) < 1
        off = script.expected_calibration_error(*script.answered(rows, classes, 3 * temperature))
        assert off > 5


def test_it_prints_what_it_found(script, tmp_path, capsys, monkeypatch):
    photos = ROOT / "assets" / "images"
    truth = tmp_path / "truth.tsv"
    truth.write_text("image\tclass\nchelsea.jpg\t285\ncoffee.jpg\t967\nrocket.jpg\t657\n")
    monkeypatch.setattr(sys, "argv", ["temperature.py", str(photos), str(truth), "--weights", str(script.OWN[0])])
    script.main()
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("efficientnet-lite0-attention.safetensors: temperature ")
    assert [line.split(":")[0] for line in said[1:]] == ["  fitted to n = 3"] * 2
    with pytest.raises(SystemExit, match="no place for a temperature"):
        script.configured(ROOT / "tests" / "golden" / "checkpoints" / "unknown-2.pth.tar")
    own = script.configured(script.OWN[0])
    assert own != 1 and f"(the file's is {own:g})" in said[0]


def test_its_measures_are_those_of_the_package(script, tmp_path):
    photos = [ROOT / "assets" / "images" / name for name in ("chelsea.jpg", "coffee.jpg", "rocket.jpg")]
    looks, classes = cbam.look(photos), np.array([285, 968, 657])  # an espresso, and not a cup
    truth = tmp_path / "truth.csv"
    truth.write_text("image,class\n" + "".join(f"{photo.name},{class_}\n" for photo, class_ in zip(photos, classes)))
    report = cbam.evaluate(looks, truth)
    rows = script.logits(cbam.Network(), photos)
    confidence, right = script.answered(rows, classes, 1)
    assert right.any() and not right.all()
    assert report.top1.value == pytest.approx(right.mean())
    assert 100 * report.ece == pytest.approx(script.expected_calibration_error(confidence, right), abs=1e-3)
    assert report.nll == pytest.approx(script.likelihood(rows, classes, 1), abs=1e-4)
