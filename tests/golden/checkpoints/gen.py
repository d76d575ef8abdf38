"""Checkpoints of every sort, as PyTorch 2.11 writes them, and the tensors that must be read as safetensors.

Files named refused-*.pt hold what is not read.
"""
import argparse
import collections
import copy
import datetime
import enum
import functools
import io
import pathlib
import pickle
import types
import warnings
import zipfile

import numpy as np
import torch
from safetensors.torch import save_file

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
here = pathlib.Path(__file__).parent


def save(name, value, **options):
    torch.save(value, here / name, **options)


def expected(name, tensors):
    save_file({key: value.detach().clone().contiguous() for key, value in tensors.items()}, here / name)


# Every element type and every sort of view.
ramp = torch.arange(-3, 3).reshape(2, 3)
kinds = collections.OrderedDict(
    (str(kind).removeprefix("torch."), (ramp * 1.25).to(kind))
    for kind in [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8]
)
kinds["uint8"] = torch.tensor([0, 7, 255], dtype=torch.uint8)
kinds["bool"] = torch.tensor([[True, False, True]])
kinds["scalar"] = torch.tensor(-1.5)
kinds["empty"] = torch.zeros(0, 3)
kinds["parameter"] = torch.nn.Parameter(torch.tensor([0.1, -0.2]))
kinds["buffer"] = torch.nn.Buffer(torch.tensor([3, 4]))
kinds["parameter_with_attributes"] = torch.nn.Parameter(torch.tensor([0.3]))
kinds["parameter_with_attributes"].tag = "a tag"
base = torch.arange(24.0).reshape(4, 6) / 7
kinds.update(
    whole=base,
    tied=base,
    rows=base[1:3],
    columns=base[:, 2:4],
    transposed=base.t(),
    permuted=base.reshape(2, 2, 6).permute(2, 0, 1),
    expanded=base[0, :2].expand(3, 2),
)
save("kinds.pt", kinds)
expected("kinds.safetensors", kinds)


# A training script's dictionary, with what such scripts keep beside the weights.
torch.manual_seed(7)
net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, bias=False), torch.nn.BatchNorm2d(2))
optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [30, 60])
net(torch.rand(2, 1, 4, 5)).sum().backward()
optimizer.step()
weights = net.state_dict()
weights.pop("1.num_batches_tracked")
expected("weights.safetensors", weights)


def prefixed(prefix):
    return collections.OrderedDict((prefix + name, tensor) for name, tensor in weights.items())


beside = {
    "args": argparse.Namespace(arch="resnet50", lr=0.1, milestones=[30, 60], resume=None, size=(224, 224)),
    "namespace": types.SimpleNamespace(lr=0.1),
    "numpy": {"best": np.float64(70.5), "top5": np.float32(90.25), "seen": np.int64(7), "curve": np.arange(3.0)},
    "random": (3, tuple(range(20)), None),
    "python": [True, None, 1 << 70, 1 + 2j, {1, 2}, frozenset([3]), b"bytes", bytearray(b"more"), range(3), slice(1, 2), 1 << 200],
    "torch": [torch.float32, torch.device("cuda", 1), torch.Size([2, 3]), torch.tensor(1.5)],
    "counted": collections.Counter("aab"),
    "lists": collections.defaultdict(list, {"loss": [0.5, 0.25]}),
    "when": [datetime.datetime(2018, 7, 17, 12), datetime.timedelta(days=1)],
    "where": pathlib.PurePosixPath("runs/1"),
    "sparse": torch.tensor([0.0, 1.0]).to_sparse(),
    "complex": torch.tensor([1 + 2j]),
    "scheduler": scheduler.state_dict(),
    "best_acc1": torch.tensor(70.5),
}
training = {"epoch": 90, "arch": "resnet50", "state_dict": prefixed("module."), "best_prec1": 70.5, "optimizer": optimizer.state_dict()}
for protocol in [2, 4, 5]:
    save(f"training-{protocol}.pth", training | beside, pickle_protocol=protocol)
    save(f"training-{protocol}.pth.tar", training | beside, pickle_protocol=protocol, _use_new_zipfile_serialization=False)

# Other names for the weights, other wrappers.
save("model_state_dict.pt", {"epoch": 1, "model_state_dict": prefixed("_orig_mod.")})
save("model.pt", {"model": prefixed("module._orig_mod."), "ema": {"module": prefixed("module.")}, "epoch": 2})
save("net.pt", {"net": prefixed(""), "acc": 93.5, "epoch": 199})
save("ema.pt", {"ema": {"module": prefixed("module."), "updates": 5}, "epoch": 2})
save("lightning.ckpt", {"state_dict": prefixed("model."), "hyper_parameters": {"lr": 0.1}, "pytorch-lightning_version": "2.4.0"})
save("named.pt", {"generator": prefixed(""), "discriminator": {"x": torch.ones(1)}, "epoch": 2})
save("mixed.pt", dict(prefixed("module."), epoch=3, best_prec1=70.5))
averaged = torch.optim.swa_utils.AveragedModel(net)
save("averaged.pt", averaged.state_dict())

# Archives that differ in their outer form.
buffer = io.BytesIO()
torch.save(weights, buffer)  # the folder is then named "archive"
(here / "buffer.pt").write_bytes(buffer.getvalue())
torch.serialization.set_crc32_options(False)
save("no-checksums.pt", weights)
torch.serialization.set_crc32_options(True)

# What is not read.
save("refused-quantised.pt", {"x": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)})
save("refused-sparse.pt", {"x": torch.ones(2).to_sparse()})
save("refused-csr.pt", {"x": torch.ones(2, 2).to_sparse_csr()})
save("refused-meta.pt", {"x": torch.ones(2, device="meta")})
save("refused-complex.pt", {"x": torch.tensor([1 + 2j])})
save("refused-float8.pt", {"x": torch.ones(2).to(torch.float8_e4m3fn)})
save("refused-negative.pt", {"x": torch._neg_view(torch.ones(2))})
save("refused-module.pt", torch.nn.Linear(1, 1))
save("refused-list.pt", [torch.ones(1)])
save("refused-empty.pt", {"epoch": 3, "optimizer": optimizer.state_dict()})


class Harm:
    def __reduce__(self):
        return __import__("os").system, ("touch harm-was-done",)


for protocol in [2, 4]:
    save(f"refused-system-{protocol}.pt", {"state_dict": {"x": torch.ones(1)}, "epoch": Harm()}, pickle_protocol=protocol)
(here / "refused-pickle.pt").write_bytes(pickle.dumps({"x": 1}, protocol=4))
script = torch.jit.script(torch.nn.Linear(1, 1))
script.save(here / "refused-script.pt")
np.savez(here / "refused-numpy.pt", x=np.arange(3))
(here / "refused-numpy.pt.npz").rename(here / "refused-numpy.pt")


# Objects of classes that nobody else knows, beside the weights and in their stead.
class Config:
    def __init__(self):
        self.lr, self.paths, self.nested = 0.1, ["a", "b"], {"kind": Kind.LARGE}


class Kind(enum.Enum):
    SMALL, LARGE = 1, 2


class Flags(enum.IntFlag):
    A, B = 1, 2


class Slotted:
    __slots__ = ("x",)

    def __init__(self):
        self.x = torch.ones(2)


class Attributes(dict):
    pass


class History(list):
    pass


class Keyword:
    def __new__(cls, *, value):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"value": 3}


class Member:
    """As pybind11 and some versions of Python pickle members of enumerations: by getattr."""

    def __reduce__(self):
        return getattr, (Kind, "SMALL")


unknown = {
    "config": Config(),
    "kind": Kind.LARGE,
    "flags": Flags.A | Flags.B,
    "slotted": Slotted(),
    "attributes": Attributes(best=torch.ones(1), epoch=3),
    "history": History([0.5, torch.ones(1)]),
    "keyword": Keyword(value=3),
    "member": Member(),
    "class": Config,
    "function": torch.nn.functional.relu,
    "partial": functools.partial(torch.nn.LayerNorm, eps=1e-6),
    "optimizer": optimizer,
    "scheduler": torch.optim.lr_scheduler.PolynomialLR(optimizer, 10),
    "criterion": torch.nn.CrossEntropyLoss(weight=torch.ones(3)),
    "random": np.random.default_rng(1),
    "state": np.random.RandomState(1),
}
for protocol in [2, 4]:
    save(f"unknown-{protocol}.pt", {"epoch": 3, "state_dict": prefixed("module.")} | unknown, pickle_protocol=protocol)
    save(f"unknown-{protocol}.pth.tar", {"epoch": 3, "state_dict": prefixed("module.")} | unknown, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
save("refused-whole.pt", {"epoch": 3, "model": net, "optimizer": optimizer.state_dict()})
save("refused-whole-legacy.pt", {"epoch": 3, "model": net}, _use_new_zipfile_serialization=False)
save("refused-whole-named.pt", {"epoch": 3, "best_network": net})
save("whole-and-average.pt", {"model": net, "ema": prefixed(""), "epoch": 2})
save("refused-inside.pt", dict(prefixed(""), **{"2.weight": Slotted()}))
save("students.pt", {"student": prefixed("module."), "teacher": prefixed(""), "config": Config()})
save("deep.pt", {"nets": {"student": prefixed("module."), "teacher": prefixed("")}, "epoch": 2})


def rezip(source, target, method):
    """The same records in another archive, as a zip tool writes them."""
    with zipfile.ZipFile(here / source) as old, zipfile.ZipFile(here / target, "w", method) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name), method)


rezip("buffer.pt", "rezipped.pt", zipfile.ZIP_STORED)
rezip("buffer.pt", "refused-deflated.pt", zipfile.ZIP_DEFLATED)
