"""Writes the golden steps of the optimizers: python gen.py (torch 2.11, safetensors).

Each case is one safetensors file of f64: parameters `start.NAME`, their gradients at step T `grad.T.NAME`, the parameters after it
`after.T.NAME`. NAME `fast` learns three times as fast and does not decay.
"""

import os

import torch
from safetensors.torch import save_file

torch.set_num_threads(1)
torch.manual_seed(3)
HERE = os.path.dirname(os.path.abspath(__file__))
STEPS = 6
RATES = [0.01, 0.02, 0.05, 0.05, 0.03, 0.004]


def write(case, make, clip=None):
    start = {"fast": torch.randn(2, 3) + 0.2, "slow": torch.randn(5) - 0.1}
    start = {k: v.double() for k, v in start.items()}
    params = {k: v.clone().requires_grad_(True) for k, v in start.items()}
    optimizer = make([{"params": [params["fast"]], "weight_decay": 0.0}, {"params": [params["slow"]]}])
    tensors = {f"start.{k}": v for k, v in start.items()}
    for step in range(STEPS):
        for group, factor in zip(optimizer.param_groups, [3.0, 1.0]):
            group["lr"] = RATES[step] * factor
        for k, v in params.items():
            v.grad = torch.randn(v.shape).double() * (step + 1) + 0.3
            tensors[f"grad.{step}.{k}"] = v.grad.clone()
        if clip:
            tensors[f"norm.{step}"] = torch.nn.utils.clip_grad_norm_(params.values(), clip).clone()
        optimizer.step()
        tensors |= {f"after.{step}.{k}": v.detach().clone() for k, v in params.items()}
    save_file(tensors, os.path.join(HERE, f"{case}.safetensors"))


write("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.0))
write("adamw_decay", lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3))
write("adamw_clip", lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1), clip=5.0)
write("sgd", lambda p: torch.optim.SGD(p, lr=0.1))
write("sgd_momentum", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.2))
write("sgd_nesterov", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.2), clip=5.0)
