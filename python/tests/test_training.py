"""Pictures drawn while a model trains: what they hold, and that the training does not notice them."""

from __future__ import annotations

import copy
import importlib
import os
import pickle
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nets import Cbam, Small
from torch import nn

import cbam
from cbam import training
from cbam.training import LightningCallback, Pictures, TrainerCallback

PHOTOS = Path(__file__).resolve().parents[2] / "assets" / "images"


class Restless(nn.Module):
    """What changes by every pass, also in evaluation mode: a drawn mask, a buffer that is written to, and one that is replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.drop = Small(Cbam, "linear"), nn.Dropout(0.3)
        self.register_buffer("passes", torch.zeros(1))
        self.register_buffer("last", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.dropout(x, 0.1)
        self.passes += 1 + random.random() + float(np.random.rand())
        self.last = self.last + 1
        return self.net(self.drop(x))


def trained(model: nn.Module, pictures: Pictures | None, steps: int = 6) -> dict[str, torch.Tensor]:
    """Trains, and looks in the midst of each step: behind the forward pass, before the backward one."""
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    for number in range(steps):
        x, y = torch.randn(8, 3, 32, 32), torch.randint(10, (8,))
        loss = nn.functional.cross_entropy(model(x), y)
        if pictures is not None:
            pictures.step(number)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return {**model.state_dict(), "random": torch.tensor([random.random(), np.random.rand(), float(torch.rand(1))])}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks as small as these are slower in several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return Small(Cbam, "linear")


def inputs(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(3))


def pixels(count: int = 2) -> torch.Tensor:
    return (inputs(count) * 40 + 128).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("how", [{"maps": None}, {"maps": ["gradcam", "spatial:net.layer1.attention.sa"]}, {"what": "panel"}])
def test_training_is_the_same_to_the_last_bit(how: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = Restless()
    model.net.layer2.eval()  # frozen, as BatchNorm often is
    alone = trained(copy.deepcopy(model), None)
    modes = [module.training for module in model.modules()]
    watched = trained(model, Pictures(model, pixels(), inputs(), every=2, **how))
    assert alone.keys() == watched.keys()
    assert all(torch.equal(alone[name], watched[name]) for name in alone)
    assert modes == [module.training for module in model.modules()]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_everything_is_put_back_after_an_error(model: nn.Module) -> None:
    model.train()
    before = torch.get_rng_state()
    with pytest.raises(cbam.ArgumentError, match="no map|this network has|has no"):
        Pictures(model, pixels(), inputs(), maps="spatial:nowhere").look(0)
    assert model.training and torch.equal(before, torch.get_rng_state())


def test_a_look_shows_what_the_model_sees(model: nn.Module) -> None:
    drawn = Pictures(model, pixels(), inputs(), maps="spatial:layer1.attention.sa", width=64).look(0)
    model.eval()
    with cbam.watch(model) as watched, torch.no_grad():
        model(inputs())
    for number, name in enumerate(["0", "1"]):
        look = watched.look(pixels()[number], number, "spatial:layer1.attention.sa")
        assert np.array_equal(drawn[name], look.overlay(width=64))
    method = Pictures(model, pixels(), inputs(), maps="layercam:layer1", target=[3, 4]).look(0)
    explained = cbam.explain(model, inputs(), "layercam", [3, 4], "layer1")
    assert np.array_equal(method["1"], explained.overlay(pixels()[1], 1))


def test_a_model_without_attention_is_explained() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    drawn = Pictures(model, pixels(), inputs()).look(0)
    assert np.array_equal(drawn["0"], cbam.explain(model.eval(), inputs()).overlay(pixels()[0]))


def test_files(model: nn.Module, tmp_path: Path) -> None:
    names = ["chelsea.jpg", "coffee.jpg", "chelsea.jpg"]
    pictures = Pictures(model, [PHOTOS / name for name in names], inputs(3), tmp_path / "out", every=50, width=100)
    assert pictures.names == ["chelsea", "coffee", "chelsea-2"]
    for number in range(101):
        pictures.step(number)
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png"))
    steps = ["step-000000", "step-000050", "step-000100"]
    assert found == sorted(os.path.join(step, f"{name}.png") for step in steps for name in pictures.names)
    assert cbam.look(tmp_path / "out" / steps[0] / "coffee.png").size[0] == 100
    two = Pictures(model, pixels(1), inputs(1), tmp_path, maps=["spatial:layer1.attention.sa", "gradcam"], names=["a/b"])
    assert list(two.look(7)) == ["a-b/spatial:layer1.attention.sa", "a-b/gradcam"]
    assert sorted(of.name for of in (tmp_path / "step-000007").iterdir()) == [
        "a-b-gradcam.png",
        "a-b-spatial-layer1.attention.sa.png",
    ]


def test_steps(model: nn.Module) -> None:
    def looked(every: int, steps: list[int]) -> list[int]:
        pictures = Pictures(model, pixels(1), inputs(1), every=every)
        return [number for number in steps if pictures.step(number)]

    assert looked(2, [0, 1, 2, 3, 4]) == [0, 2, 4]
    assert looked(2, [0, 0, 1, 1, 2, 2]) == [0, 2]  # steps that gather gradients
    assert looked(5, [0, 2, 4, 6, 8, 10, 12]) == [0, 6, 10]  # two optimizers
    assert looked(5, [7, 8, 9, 10, 11]) == [10]  # resumed


class Writer:
    def __init__(self) -> None:
        self.got: list[Any] = []

    def add_image(self, tag: str, picture: Any, global_step: int | None = None, dataformats: str = "CHW") -> None:
        self.got.append((tag, picture.shape, picture.dtype, global_step, dataformats))


def test_a_writer_gets_eight_bits(model: nn.Module) -> None:
    writer = Writer()
    deep = [np.full((20, 30, 3), 40_000, np.uint16)]
    Pictures(model, deep, inputs(1), writer, names=["deep"]).look(3)
    assert writer.got == [("cbam/deep", (20, 30, 3), np.uint8, 3, "HWC")]


def test_tensorboard(model: nn.Module, tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        Pictures(model, pixels(), inputs(), writer, every=1).step(4)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path)).Reload()
    assert events.Tags()["images"] == ["cbam/0", "cbam/1"]
    assert events.Images("cbam/1")[0].step == 4


def test_what_cannot_be(model: nn.Module, tmp_path: Path) -> None:
    for how, error in [
        (dict(pictures=pixels(3)), cbam.ArgumentError),
        (dict(inputs=torch.zeros(3, 32, 32)), cbam.InputError),
        (dict(every=0), cbam.ArgumentError),
        (dict(maps=[]), cbam.ArgumentError),
        (dict(what="page"), cbam.ArgumentError),
        (dict(what="panel", maps="gradcam"), cbam.ArgumentError),
        (dict(what="panel", width=3), cbam.ArgumentError),
        (dict(labels=["a"]), cbam.ArgumentError),
        (dict(names=["a"]), cbam.ArgumentError),
        (dict(to=7), cbam.ArgumentError),
        (dict(colour=7), TypeError),
        (dict(model=7), cbam.ArgumentError),
        (dict(pictures=[tmp_path / "a.png", tmp_path / "b.png"]), cbam.MissingFileError),
        (dict(pictures=torch.zeros(2, 3, 32, 32)), cbam.ArgumentError),
    ]:
        with pytest.raises(error):
            Pictures(**{"model": model, "pictures": pixels(), "inputs": inputs(), **how})
    model.fc.weight.ds_id = 1
    with pytest.raises(cbam.ArgumentError, match="ZeRO-3"):
        Pictures(model, pixels(), inputs()).look(0)


def test_a_full_disk_does_not_end_the_training(model: nn.Module, tmp_path: Path) -> None:
    pictures = Pictures(model, pixels(), inputs(), tmp_path)
    (tmp_path / "step-000003").write_text("a file where the folder should be")
    with pytest.warns(cbam.CbamWarning, match="step 3"):
        assert len(pictures.look(3)) == 2


def test_inputs_are_kept_and_follow_the_model(model: nn.Module) -> None:
    given = inputs()
    pictures = Pictures(model, pixels(), given)
    before = pictures.look(0)
    given.zero_()
    assert np.array_equal(before["0"], pictures.look(1)["0"])
    model.to(torch.bfloat16)
    assert pictures.look(2)["0"].shape == before["0"].shape


def test_other_processes_do_nothing(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert Pictures(model, pixels(), inputs()).look(0) == {}


def test_callbacks_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (LightningCallback, TrainerCallback):
        monkeypatch.setattr(kind, "_BASES", (("not_there_at_all", "Callback"),))
        with pytest.raises(ImportError, match=kind._WANTS):
            kind(pixels(), inputs())


def of_lightning(name: str, tmp_path: Path, extra: list[Any], logger: Any = False) -> tuple[dict[str, torch.Tensor], Any]:
    lightning = pytest.importorskip(name)

    class Learner(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = Restless()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.05)

    lightning.seed_everything(5, verbose=False)
    learner = Learner()
    data = torch.utils.data.TensorDataset(torch.randn(24, 3, 32, 32), torch.randint(10, (24,)))
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=logger,
        callbacks=extra,
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accumulate_grad_batches=2,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(learner, torch.utils.data.DataLoader(data, 4, shuffle=True))
    return learner.state_dict(), trainer


@pytest.mark.parametrize("name", ["lightning.pytorch", "pytorch_lightning"])
def test_lightning(name: str, tmp_path: Path) -> None:
    alone, _ = of_lightning(name, tmp_path, [])
    callback = LightningCallback(pixels(), inputs(), every=3)
    watched, trainer = of_lightning(name, tmp_path, [callback])
    assert trainer.global_step == 6 and isinstance(callback, importlib.import_module(name).Callback)
    assert all(torch.equal(alone[of], watched[of]) for of in alone)
    assert sorted(os.listdir(tmp_path / "pictures")) == ["step-000000", "step-000003", "step-000006"]
    part = LightningCallback(pixels(), inputs(), tmp_path / "part", 3, module="net.net.layer9")
    with pytest.raises(cbam.ArgumentError, match="layer9"):
        of_lightning(name, tmp_path, [part])
    again = pickle.loads(pickle.dumps(copy.deepcopy(LightningCallback(pixels(), inputs(), tmp_path))))
    assert type(again).__name__ == "LightningCallback" and again.pictures.names == ["0", "1"]


def test_lightning_writes_to_its_logger(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    loggers = pytest.importorskip("lightning.pytorch.loggers")
    logger = loggers.TensorBoardLogger(tmp_path)
    of_lightning("lightning.pytorch", tmp_path, [LightningCallback(pixels(), inputs(), every=3, module="net")], logger)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(logger.log_dir).Reload()
    assert [of.step for of in events.Images("cbam/0")] == [0, 3, 6]
    assert not (tmp_path / "pictures").exists()


def of_transformers(tmp_path: Path, extra: list[Any]) -> dict[str, torch.Tensor]:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    config = transformers.ViTConfig(
        image_size=32,
        patch_size=8,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=4,
        hidden_dropout_prob=0.2,
    )
    transformers.set_seed(5)
    model = transformers.ViTForImageClassification(config)
    data = [{"pixel_values": torch.randn(3, 32, 32), "labels": number % 4} for number in range(16)]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=6, per_device_train_batch_size=4, report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True
    )
    transformers.Trainer(model, arguments, train_dataset=data, callbacks=extra).train()
    return model.state_dict()


def test_transformers(tmp_path: Path) -> None:
    alone = of_transformers(tmp_path, [])
    watched = of_transformers(tmp_path, [TrainerCallback(pixels(), inputs(), every=3, maps=["patch", "gradcam"])])
    assert all(torch.equal(alone[of], watched[of]) for of in alone)
    assert sorted(os.listdir(tmp_path / "pictures")) == ["step-000000", "step-000003", "step-000006"]
    assert sorted(os.listdir(tmp_path / "pictures" / "step-000003")) == [f"{of}-{map}.png" for of in "01" for map in ("gradcam", "patch")]


def test_importing_takes_neither_library() -> None:
    import subprocess
    import sys

    code = "import sys, cbam.training; print([of for of in ('lightning', 'pytorch_lightning', 'transformers') if of in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert training.__all__ == ["LightningCallback", "Pictures", "TrainerCallback"]
