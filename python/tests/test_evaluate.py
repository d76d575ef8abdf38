"""What maps and networks are worth, by the core's own measures."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import cbam
from test_programs import IMAGES, run

TRUTH = IMAGES / "truth.csv"


@pytest.fixture(scope="module")
def looks():
    photos = sorted(path for path in IMAGES.iterdir() if path.suffix == ".jpg")
    return cbam.look(photos, maps=["fused", "gradcam"])


def quiet(*given, **named):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cbam.CbamWarning)
        return cbam.evaluate(*given, **named)


@pytest.mark.parametrize("measure", ["none", pytest.param("faithfulness", marks=pytest.mark.long)])
def test_figures_are_those_of_the_program(looks, tmp_path, measure):
    done = run("cbam-eval", "--images", IMAGES, "--truth", TRUTH, "--maps", "fused,gradcam", "--json", tmp_path / "eval.json",
               "--measure", measure, "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "eval.json").read_text()
    faithful = measure == "faithfulness"
    figures = quiet(looks, TRUTH, cbam.Network() if faithful else None)
    names = ("pointing", "energy", "iou", *(("insertion", "deletion", "drop", "increase", "road") if faithful else ()))

    def numbers(value):
        if isinstance(value, dict):
            for item in value.values():
                yield from numbers(item)
        elif isinstance(value, list):
            for item in value:
                yield from numbers(item)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield float(value)

    written = np.array(list(numbers(json.loads(report))))
    for of in figures.maps.values():
        for name in names:
            value = getattr(of, name).value
            assert np.abs(written - value).min() < 1e-5, (name, value)
    if figures.top1 is not None:
        assert np.abs(written - figures.ece).min() < 1e-6


def test_masks_and_boxes_say_the_same(looks):
    look = looks[0]
    width, height = look.size
    box = (width * 0.2, height * 0.25, width * 0.75, height * 0.9)
    mask = np.zeros((height, width), bool)
    mask[int(np.floor(box[1])) : int(np.ceil(box[3])), int(np.floor(box[0])) : int(np.ceil(box[2]))] = True
    boxes, masks = quiet(look, [[box]]), quiet(look, [mask])
    assert boxes.maps["fused"].energy == masks.maps["fused"].energy
    assert boxes.maps["fused"].iou == masks.maps["fused"].iou
    assert boxes.pictures[0]["fused"]["pointing"] in (0.0, 1.0)
    assert boxes.top1 is None
    whole = quiet(look, [{"mask": np.ones((height, width), bool), "class_": look.top[0].number}])
    assert whole.maps["fused"].energy.value == pytest.approx(1.0)
    assert whole.top1.value == 1.0 and whole.top5.n == 1
    wrong = quiet(look, {look.name: {"class_": look.top[1].number}})
    assert wrong.top1.value == 0.0 and wrong.top5.value == 1.0
    assert "top-1" in str(wrong)


def test_what_cannot_be_measured_is_said(looks):
    look = looks[0]
    for wrong, message in [
        (lambda: cbam.evaluate([], [None]), "looks"),
        (lambda: cbam.evaluate(look), "neither truth nor model"),
        (lambda: cbam.evaluate(look, [None]), "nothing of it"),
        (lambda: cbam.evaluate(look, []), "one for each"),
        (lambda: cbam.evaluate(look, {"other.jpg": 3}), "no look"),
        (lambda: cbam.evaluate(look, [np.zeros((3, 3))]), "mask of this picture"),
        (lambda: cbam.evaluate(look, [np.zeros(look.size[::-1])]), "without an object"),
        (lambda: cbam.evaluate(look, [[(5, 5, 5, 9)]]), "no pixel"),
        (lambda: cbam.evaluate(look, [5000]), "none of the 1000"),
        (lambda: cbam.evaluate(look, [{"box": 3}]), "none of mask"),
        (lambda: cbam.evaluate(look, [3], inputs=3), "without a model"),
        (lambda: cbam.evaluate(look, "no-such-file.csv"), "no-such-file.csv"),
    ]:
        with pytest.raises((cbam.CbamError, OSError), match=message):
            wrong()


def test_maps_are_faithful_to_the_network_that_is_given(looks):
    other = IMAGES.parents[1] / "assets" / "weights" / "efficientnet-lite1-attentive.safetensors"
    if not other.exists():
        pytest.skip("the weights are in a clone alone")
    own, same, another = (
        cbam.evaluate(looks[0], None, network, maps="fused").maps["fused"]
        for network in (cbam.Network(), cbam.Network(), cbam.Network(other))
    )
    assert own == same and own.insertion != another.insertion


def test_a_model_of_ones_own_is_measured_on_what_it_took():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3, 2), torch.nn.Conv2d(8, 1, 1), torch.nn.Sigmoid()
    )

    class Gated(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.gate, self.head = torch.nn.Conv2d(3, 8, 3, 2), model[3:], torch.nn.Linear(8, 4)

        def forward(self, x):
            x = torch.relu(self.features(x))
            return self.head((x * self.gate(x)).mean((2, 3)))

    net = Gated().eval()
    x = torch.randn(2, 3, 64, 64)
    with cbam.watch(net) as seen, torch.no_grad():
        logits = net(x)
    pictures = [np.random.default_rng(i).integers(0, 255, (64, 64, 3), np.uint8) for i in range(2)]
    looks = [seen.look(picture, i, logits=logits) for i, picture in enumerate(pictures)]
    figures = cbam.evaluate(looks, None, net, inputs=x)
    of = figures.maps[looks[0].asked[0]]
    assert 0 <= of.insertion.value <= 1 and of.road.n == 2 and of.pointing is None
    with pytest.raises(cbam.ArgumentError, match="inputs"):
        cbam.evaluate(looks, None, net)
