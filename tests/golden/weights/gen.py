"""Legacy PyTorch files as torch.save writes them (PyTorch 2.11), and the same tensors as safetensors."""
import collections
import pathlib

import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent


def legacy(name, value):
    torch.save(value, here / name, _use_new_zipfile_serialization=False)


def expected(name, tensors):
    save_file({key: value.detach().clone().contiguous() for key, value in tensors.items()}, here / name)


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
legacy("kinds.pth", kinds)
expected("kinds.safetensors", kinds)

base = torch.arange(24.0).reshape(4, 6) / 7
views = collections.OrderedDict(
    whole=base,
    tied=base,
    rows=base[1:3],
    columns=base[:, 2:4],
    steps=base[::2, 1::3],
    transposed=base.t(),
    permuted=base.reshape(2, 2, 6).permute(2, 0, 1),
    expanded=base[0, :2].expand(3, 2),
)
legacy("views.pth", views)
expected("views.safetensors", views)

# What the training script of PyTorch's ImageNet example writes.
model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, bias=False), torch.nn.BatchNorm2d(2))
with torch.no_grad():
    model[0].weight.copy_(torch.linspace(-1, 1, 18).reshape(2, 1, 3, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
model(torch.ones(1, 1, 4, 5)).sum().backward()
optimizer.step()
wrapped = {"epoch": 3, "arch": "tiny", "state_dict": model.state_dict(), "best_prec1": torch.tensor(70.5), "optimizer": optimizer.state_dict()}
legacy("wrapped.pth", wrapped)
expected("wrapped.safetensors", model.state_dict())
