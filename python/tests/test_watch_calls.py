"""However a model is called, it is watched or refused with a word; and what was seen is laid over pictures."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import nets
import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from cbam import ArgumentError, CbamError, InputError
from cbam._watch import watch
from watching import alone, clean, picture


@pytest.mark.parametrize("gives", ["dict", "tuple", "dataclass"])
def test_keywords_and_outputs_of_other_libraries(gives: str) -> None:
    torch.manual_seed(3)
    model = nets.Wrapped(gives).eval()
    with watch(model) as watched:
        output = model(labels=torch.zeros(2, 4, dtype=torch.long), pixel_values=picture(2, 3, 48, 64))
    assert list(watched.gates) == [f"net.layer{i}.attention.{kind}" for i in (1, 2) for kind in ("ca", "sa")]
    assert watched.seen.pictures == 2 and output is not None


def test_pictures_in_a_list() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nets.small("conv")

        def forward(self, pictures: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
            return [{"scores": row} for row in self.net(torch.stack(pictures))]

    with watch(model := Detector()) as watched:
        model([picture(3, 48, 64), picture(3, 48, 64)])
    assert len(watched.gates) == 4 and watched.seen.pictures == 2


@pytest.mark.parametrize("how", ["torch.compile", "model.compile", "before it is watched"])
def test_compiled(how: str) -> None:
    model, x = nets.small("conv"), picture()
    plain = model(x)
    compiled: Any = model
    if how == "model.compile":
        model.compile(backend="eager")
    else:
        compiled = torch.compile(model, backend="eager")
    compiled(x)
    with watch(compiled if how == "torch.compile" else model) as watched:
        output = compiled(x)
    assert len(watched.gates) == 4 and torch.equal(output, plain)
    assert "layer1.attention.ca" in watched.gates and clean(model)
    assert torch.equal(compiled(x), plain)


def test_data_parallel() -> None:
    model, x = nets.small("conv"), picture(2, 3, 32, 32)
    with watch(nn.DataParallel(model)) as watched:
        nn.DataParallel(model)(x)
    assert len(watched.gates) == 4 and "layer1.attention.ca" in watched.gates
    parallel = nn.DataParallel(model)
    parallel.device_ids = [0, 1]
    with pytest.raises(ArgumentError, match="DataParallel runs copies in threads of their own"):
        watch(parallel)


def test_torchscript() -> None:
    model, x = nets.small("conv"), picture()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(model, x)
        scripted = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid()))
        within = nn.Sequential(nn.Conv2d(3, 4, 3), torch.jit.script(nets.SE(4)))
    with watch(model) as plain:
        model(x)
    for _ in range(3):
        with torch.no_grad(), watch(traced) as watched:
            traced(x)
        told = list(plain.gates.values())
        assert [gate.kind for gate in watched.gates.values()] == [gate.kind for gate in told]
        for gate, of in zip(watched.gates.values(), told, strict=True):
            assert (gate.values - of.values).abs().max() <= 1e-6
    with pytest.raises(ArgumentError, match="scripted"), watch(scripted):
        pass
    with watch(within) as watched:
        within(x)
    assert clean(within[0]) and [gate.kind for gate in watched.gates.values()] == ["channel"]


def test_exported() -> None:
    model, x = nets.small("conv"), picture()
    exported = torch.export.export(model, (x,)).module()
    with watch(exported) as watched:
        exported(x)
    assert [gate.kind for gate in watched.gates.values()] == ["channel", "spatial"] * 2


def test_another_thread() -> None:
    model, x = nets.small("conv"), picture()
    with watch(model) as watched:
        thread = threading.Thread(target=model, args=(x,))
        thread.start()
        thread.join()
    with watch(model) as plain:
        model(x)
    assert all(torch.equal(gate.values, plain.gates[name].values) for name, gate in watched.gates.items()) and len(watched.gates) == 4


def test_threads_at_once() -> None:
    model = nets.small("conv")
    pictures = [picture(2, 3, 32, 32 + 8 * index) for index in range(4)]
    told = []
    for x in pictures:
        with watch(model) as plain, torch.no_grad():
            model(x)
        told.append(plain.seen)
    failed: list[BaseException] = []

    def work(x: torch.Tensor) -> None:
        try:
            torch.set_num_threads(1)
            with torch.no_grad():
                for _ in range(6):
                    model(x)
        except BaseException as error:
            failed.append(error)

    for _ in range(5):
        with watch(model) as watched:
            threads = [threading.Thread(target=work, args=(x,)) for x in pictures]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert not failed and len(watched.gates) == 4 and clean(model)
        (like,) = [seen for seen in told if seen.gates["layer1.attention.sa"].values.shape == watched.gates["layer1.attention.sa"].values.shape]
        for name, gate in watched.gates.items():
            assert (gate.values - like.gates[name].values).abs().max() <= 1e-6


def test_a_block_that_ends_while_another_thread_is_inside() -> None:
    model, x = nets.small("conv"), picture()
    inside, go = threading.Event(), threading.Event()
    stacks: list[int] = []

    def wait(*_: Any) -> None:
        inside.set()
        go.wait(10)

    def work() -> None:
        model(x)
        stacks.append(len(_get_current_dispatch_mode_stack()) + len(torch.overrides._get_current_function_mode_stack()))

    hook = model.layer2.register_forward_pre_hook(wait)
    with watch(model) as watched:
        thread = threading.Thread(target=work)
        thread.start()
        inside.wait(10)
    go.set()
    thread.join()
    hook.remove()
    assert stacks == [0] and clean(model)
    with watched:
        model(x)
    assert len(watched.gates) == 4


def test_what_did_not_run() -> None:
    model, x = nets.small("conv"), picture()
    for run in (lambda: None, lambda: model.layer1(model.stem(x)), lambda: model.forward(x)):
        with watch(model) as watched:
            run()
        with pytest.raises(InputError, match="did not run inside the block.*watch the module that you call"):
            _ = watched.seen
        assert clean(model)
    with pytest.raises(ArgumentError, match="str is no torch.nn.Module"):
        watch("resnet50")  # type: ignore[arg-type]


def test_flex_attention_is_left_out_with_a_word() -> None:
    from torch.nn.attention.flex_attention import flex_attention

    class Flex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch, self.qkv, self.se = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 48), nets.SE(16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.patch(x)
            q, k, v = self.qkv(x.flatten(2).transpose(1, 2)).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
            y = flex_attention(q, k, v).transpose(1, 2).flatten(2)
            return self.se(y.transpose(1, 2).reshape(x.shape))

    model, x = Flex(), picture(1, 3, 32, 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.no_grad(), watch(model) as watched:
            model(x)
    assert not watched.attention and [why for _, why in watched.left_out if "flex_attention" in why]
    assert list(watched.gates) == ["se"]


def test_looks() -> None:
    model, x = nets.small("conv"), picture(3, 3, 48, 64)
    with watch(model) as watched, torch.no_grad():
        logits = model(x)
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    for number in (0, 2):
        look = watched.look(pixels, number, logits=logits)
        assert set(look.maps) <= set(watched.seen.maps) and look.asked[0] == "spatial:layer2.attention.sa"
        for name, gate in watched.gates.items():
            of = gate.values[number]
            expected = of[:, 0, 0] if gate.kind == "channel" else of[0]
            np.testing.assert_allclose(look.maps[f"{gate.kind}:{name}"], expected.numpy(), atol=1e-6)
        assert look.top[0].number == int(logits[number].argmax())
        np.testing.assert_allclose(look.probabilities, logits[number].softmax(0).numpy(), atol=1e-6)
    assert look.overlay().shape == (60, 80, 3) and look.panel().ndim == 3 and "<html" in look.page()
    one = watched.look(pixels, maps="spatial:layer1.attention.sa", seen=(8, 6, 64, 48))
    assert one.asked == ["spatial:layer1.attention.sa"] and one.map.shape == (24, 32) and one.seen == (8, 6, 64, 48)


@pytest.mark.parametrize("name", ["coordinate", "bam"])
def test_looks_of_other_gates(name: str) -> None:
    model, x = nets.small(name), picture(2, 3, 48, 64)
    with watch(model) as watched, torch.no_grad():
        model(x)
    look = watched.look(np.zeros((48, 64, 3), np.uint8), 1)
    for path, gate in watched.gates.items():
        if name == "bam":
            of = gate.values[1]
            np.testing.assert_allclose(look.maps[f"channel:{path}"], of.mean((1, 2)).numpy(), atol=1e-5)
            np.testing.assert_allclose(look.maps[f"spatial:{path}"], of.mean(0).numpy(), atol=1e-5)
        else:
            rows, columns = sorted((part[1] for part in gate.parts), key=lambda part: part.shape[-1])
            np.testing.assert_allclose(look.maps[f"coordinate:{path}"], (rows * columns).mean(0).numpy(), atol=1e-5)


def test_looks_of_attention() -> None:
    model, x = nets.Vit().eval(), picture(3, 3, 32, 48)
    with watch(model) as watched, torch.no_grad():
        logits = model(x)
    pixels, tokens = np.zeros((64, 96, 3), np.uint8), 25
    name, of = list(watched.attention.items())[-1]
    maps = ["patch", "patch@87,6", *(found for found in watched.seen.maps if not found.startswith("spatial"))]
    look = watched.look(pixels, 1, maps=maps, logits=logits)
    weights = of.weights[1, :, :, 1:] * tokens
    mean = weights.mean(0)
    np.testing.assert_allclose(look.maps["patch"], mean[1:].mean(0).reshape(4, 6).numpy(), atol=1e-5)
    np.testing.assert_allclose(look.maps["patch@87,6"], mean[1 + 5].reshape(4, 6).numpy(), atol=1e-5)
    np.testing.assert_allclose(look.maps["cls"], mean[0].reshape(4, 6).numpy(), atol=1e-5)
    assert look.overlay("cls").shape == (64, 96, 3) and look.panel().ndim == 3 and "<html" in look.page()
    assert name in {stage for stage in watched.attention}


def test_looks_that_cannot_be() -> None:
    model, x = nets.small("conv"), picture(2, 3, 48, 64)
    with watch(model) as watched, torch.no_grad():
        logits = model(x)
    pixels = np.zeros((48, 64, 3), np.uint8)
    for number in (2, -1):
        with pytest.raises(ArgumentError, match=f"number: {number} "):
            watched.look(pixels, number)
    for maps, word in (("spatial:none", "none"), ("patch", "patch"), ("nonsense!", "nonsense")):
        with pytest.raises(CbamError, match=word):
            watched.look(pixels, maps=maps)
    with pytest.raises(InputError, match="logits: have shape"):
        watched.look(pixels, logits=logits[None])
    with pytest.raises(CbamError, match="labels"):
        watched.look(pixels, logits=logits, labels=["one"])
    with pytest.raises(CbamError, match="seen"):
        watched.look(pixels, seen=(0, 0, 100, 10))
    with watch(plain := torchvision.models.squeezenet1_1()) as nothing:
        plain(picture(1, 3, 64, 64))
    with pytest.raises(InputError, match="no gate and no attention"):
        nothing.look(pixels)
