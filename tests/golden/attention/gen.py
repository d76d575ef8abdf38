"""Writes the golden tensors of the attention layers: python gen.py (torch 2.11, timm, safetensors).

Each case is one safetensors file: inputs `in.NAME`, parameters and buffers `param.NAME` (by this crate's names), outputs `out.NAME`,
a fixed cotangent per output `cot.NAME`, and the gradients of sum_NAME(out.NAME * cot.NAME) by every input and parameter, `grad.NAME`.
Buffers changed by a training step are stored as `after.NAME`.
"""

import math
import os

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.layers import EcaModule, SEModule
from timm.layers.cbam import CbamModule
from torch import nn

torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))


def filled(*size, shift=0.2):
    """Asymmetric and non-zero."""
    return torch.randn(*size) + shift


def write(case, inputs, params, forward, buffers=None):
    """`forward(inputs, params, buffers)` returns named outputs; `params` are leaves."""
    inputs = {k: v.clone().requires_grad_(v.is_floating_point()) for k, v in inputs.items()}
    params = {k: v.detach().clone().requires_grad_(True) for k, v in params.items()}
    before = {k: v.detach().clone() for k, v in (buffers or {}).items()}
    after = {k: v.clone() for k, v in before.items()}
    outputs = forward(inputs, params, after)
    cotangents = {k: filled(*v.shape, shift=0.1) for k, v in outputs.items()}
    sum((v * cotangents[k]).sum() for k, v in outputs.items()).backward()
    tensors = {f"in.{k}": v for k, v in inputs.items()}
    tensors |= {f"param.{k}": v for k, v in (params | before).items()}
    tensors |= {f"out.{k}": v for k, v in outputs.items()}
    tensors |= {f"cot.{k}": v for k, v in cotangents.items()}
    tensors |= {f"grad.{k}": v.grad for k, v in (inputs | params).items() if v.requires_grad}
    tensors |= {f"after.{k}": v for k, v in after.items() if not torch.equal(v, before[k])}
    tensors = {k: v.detach().contiguous().clone() for k, v in tensors.items()}
    save_file(tensors, os.path.join(HERE, f"{case}.safetensors"))


# Scaled dot-product attention.


def sdpa(masked):
    def forward(i, _p, _b):
        context = F.scaled_dot_product_attention(i["query"], i["key"], i["value"], i.get("mask"))
        scores = i["query"] @ i["key"].transpose(-2, -1) / math.sqrt(i["query"].shape[-1])
        if masked == "boolean":
            scores = scores.masked_fill(~i["mask"], -math.inf)
        elif masked == "additive":
            scores = scores + i["mask"]
        return {"context": context, "weights": scores.softmax(-1)}

    inputs = {"query": filled(2, 3, 5, 4), "key": filled(2, 3, 7, 4), "value": filled(2, 3, 7, 6)}
    if masked == "boolean":
        inputs["mask"] = torch.rand(2, 1, 5, 7) < 0.6
        inputs["mask"][..., 2] = True
    elif masked == "additive":
        inputs["mask"] = filled(5, 7)
    write(f"sdpa_{masked}", inputs, {}, forward)


# Additive and Luong scores.


def score(name, params, compute, key_dim):
    def forward(i, p, _b):
        scores = compute(i["query"], i["key"], p)
        weights = scores.softmax(-1)
        return {"scores": scores, "weights": weights, "context": weights @ i["value"]}

    inputs = {"query": filled(2, 3, 5), "key": filled(2, 4, key_dim), "value": filled(2, 4, 7)}
    write(f"score_{name}", inputs, params, forward)


def pairs(query, key):
    tq, tk = query.shape[1], key.shape[1]
    return torch.cat([query[:, :, None].expand(-1, -1, tk, -1), key[:, None].expand(-1, tq, -1, -1)], -1)


def scores():
    def additive(q, k, p):
        hidden = torch.tanh((q @ p["w.weight"].T)[:, :, None] + (k @ p["u.weight"].T)[:, None])
        return torch.einsum("h,nqkh->nqk", p["v.weight"][0], hidden)

    def concat(q, k, p):
        return torch.einsum("h,nqkh->nqk", p["v.weight"][0], torch.tanh(pairs(q, k) @ p["w.weight"].T))

    score("additive", {"w.weight": filled(6, 5), "u.weight": filled(6, 3), "v.weight": filled(1, 6)}, additive, 3)
    score("dot", {}, lambda q, k, p: torch.einsum("nqd,nkd->nqk", q, k), 5)
    general = lambda q, k, p: torch.einsum("nqd,de,nke->nqk", q, p["w.weight"], k)  # noqa: E731
    score("general", {"w.weight": filled(5, 3) * 0.3}, general, 3)
    score("concat", {"w.weight": filled(6, 8), "v.weight": filled(1, 6)}, concat, 3)


# Multi-head attention.


def multi_head(case, memory_dim):
    """torch.nn.MultiheadAttention: dim 12, 3 heads of 4."""
    dim, heads = 12, 3
    layer = nn.MultiheadAttention(dim, heads, kdim=memory_dim, vdim=memory_dim, batch_first=True)
    width = memory_dim or dim
    params = {f"{x}.weight": filled(dim, width if x in "kv" else dim, shift=0.05) * 0.3 for x in ("q", "k", "v", "out")}
    params |= {f"{x}.bias": filled(dim) * 0.3 for x in ("q", "k", "v", "out")}

    def forward(i, p, _b):
        named = {"out_proj.weight": p["out.weight"], "out_proj.bias": p["out.bias"]}
        named["in_proj_bias"] = torch.cat([p["q.bias"], p["k.bias"], p["v.bias"]])
        if memory_dim is None:
            named["in_proj_weight"] = torch.cat([p["q.weight"], p["k.weight"], p["v.weight"]])
        else:
            named |= {f"{x}_proj_weight": p[f"{x}.weight"] for x in "qkv"}
        memory = i.get("memory", i["xs"])
        context, weights = torch.func.functional_call(
            layer, named, (i["xs"], memory, memory), {"average_attn_weights": False, "attn_mask": mask(i)})
        return {"context": context, "weights": weights}

    def mask(i):  # nn.MultiheadAttention's boolean mask is true where a query may NOT look
        return ~i["mask"] if "mask" in i else None

    inputs = {"xs": filled(2, 5, dim)}
    if case != "multi_head_self":
        inputs["memory"] = filled(2, 7, width)
    if case == "multi_head_masked":
        inputs["mask"] = torch.rand(5, 7) < 0.6
        inputs["mask"][:, 3] = True
    write(case, inputs, params, forward)


# CBAM, by the official code's formulas.


def pool(name, xs):
    n, c, h, w = xs.shape
    if name == "avg":
        return F.avg_pool2d(xs, (h, w), stride=(h, w)).view(n, c)
    if name == "max":
        return F.max_pool2d(xs, (h, w), stride=(h, w)).view(n, c)
    if name == "lp":
        return F.lp_pool2d(xs, 2, (h, w), stride=(h, w)).view(n, c)
    flat = xs.view(n, c, -1)  # lse
    shift = flat.max(dim=2, keepdim=True)[0]
    return (shift + (flat - shift).exp().sum(dim=2, keepdim=True).log()).view(n, c)


def channel_gate(xs, pools, p, prefix=""):
    def mlp(x):
        hidden = F.relu(F.linear(x, p[f"{prefix}fc1.weight"], p.get(f"{prefix}fc1.bias")))
        return F.linear(hidden, p[f"{prefix}fc2.weight"], p.get(f"{prefix}fc2.bias"))

    logits = sum(mlp(pool(name, xs)) for name in pools)
    gate = torch.sigmoid(logits)
    return {"features": xs * gate[:, :, None, None], "gate": gate, "logits": logits}


def spatial_gate(xs, p, b, order, padding, train, prefix=""):
    pools = {"max": xs.max(1, keepdim=True)[0], "mean": xs.mean(1, keepdim=True)}
    pooled = torch.cat([pools[name] for name in order], 1)
    weight = p[f"{prefix}conv.weight"]
    margin = weight.shape[-1] // 2
    if padding == "replicate":
        pooled = F.pad(pooled, [margin] * 4, mode="replicate")
        margin = 0
    logits = F.conv2d(pooled, weight, padding=margin)
    if b:
        logits = F.batch_norm(
            logits, b[f"{prefix}bn.running_mean"], b[f"{prefix}bn.running_var"], p[f"{prefix}bn.weight"],
            p[f"{prefix}bn.bias"], train, 0.01, 1e-5)
    gate = torch.sigmoid(logits)
    return {"features": xs * gate, "gate": gate.squeeze(1), "logits": logits.squeeze(1)}


def mlp_params(channels, hidden, bias, prefix=""):
    params = {f"{prefix}fc1.weight": filled(hidden, channels) * 0.3, f"{prefix}fc2.weight": filled(channels, hidden) * 0.3}
    if bias:
        params |= {f"{prefix}fc1.bias": filled(hidden), f"{prefix}fc2.bias": filled(channels) * 0.3}
    return params


def conv_params(kernel, bn, prefix=""):
    params = {f"{prefix}conv.weight": filled(1, 2, kernel, kernel, shift=0.05) * 0.2}
    buffers = {}
    if bn:
        params |= {f"{prefix}bn.weight": torch.tensor([0.8]), f"{prefix}bn.bias": torch.tensor([-0.3])}
        buffers = {f"{prefix}bn.running_mean": torch.tensor([0.4]), f"{prefix}bn.running_var": torch.tensor([1.7])}
    return params, buffers


def channel(case, pools, bias):
    inputs = {"xs": filled(2, 8, 5, 7)}
    write(f"channel_{case}", inputs, mlp_params(8, 2, bias), lambda i, p, _b: channel_gate(i["xs"], pools, p))


def spatial(case, kernel, order, padding, bn, train=False):
    params, buffers = conv_params(kernel, bn)
    write(f"spatial_{case}", {"xs": filled(2, 6, 5, 9)}, params,
          lambda i, p, b: spatial_gate(i["xs"], p, b, order, padding, train), buffers)


def cbam(train):
    params, buffers = conv_params(7, True, "spatial.")
    params |= mlp_params(8, 2, True, "channel.")

    def forward(i, p, b):
        refined = channel_gate(i["xs"], ["avg", "max"], p, "channel.")
        out = spatial_gate(refined["features"], p, b, ["max", "mean"], "zeros", train, "spatial.")
        return {"features": out["features"], "channel.gate": refined["gate"], "channel.logits": refined["logits"],
                "spatial.gate": out["gate"], "spatial.logits": out["logits"]}

    write(f"cbam_{'train' if train else 'eval'}", {"xs": filled(2, 8, 5, 7)}, params, forward, buffers)


def timm_cbam():
    """timm's CbamModule in eval mode, its weights under this crate's names: 1x1 convolutions become matrices."""
    layer = CbamModule(8, rd_ratio=1 / 4).eval()
    params, buffers = conv_params(7, True, "spatial.")
    params |= mlp_params(8, 2, False, "channel.")

    def forward(i, p, b):
        named = {f"channel.{x}.weight": p[f"channel.{x}.weight"][:, :, None, None] for x in ("fc1", "fc2")}
        named |= {"spatial.conv.conv.weight": p["spatial.conv.weight"]}
        named |= {f"spatial.conv.bn.{x}": p[f"spatial.bn.{x}"] for x in ("weight", "bias")}
        named |= {f"spatial.conv.bn.{x}": b[f"spatial.bn.{x}"] for x in ("running_mean", "running_var")}
        expected = {k for k in layer.state_dict() if not k.endswith("num_batches_tracked")}
        assert set(named) == expected, (set(named), expected)
        return {"features": torch.func.functional_call(layer, named, (i["xs"],))}

    write("cbam_timm", {"xs": filled(2, 8, 5, 7)}, params, forward, buffers)


# Squeeze-and-excitation and efficient channel attention, by timm.


def squeeze_excite(bias):
    """timm's 1x1 convolutions are matrices here."""
    layer = SEModule(8, rd_channels=2, bias=bias)

    def forward(i, p, _b):
        named = {k: v[:, :, None, None] if k.endswith("weight") else v for k, v in p.items()}
        assert set(named) == set(layer.state_dict())
        gate = {}
        hook = layer.gate.register_forward_hook(lambda _m, x, y: gate.update(logits=x[0].flatten(1), gate=y.flatten(1)))
        features = torch.func.functional_call(layer, named, (i["xs"],))
        hook.remove()
        return {"features": features, **gate}

    write(f"se{'' if bias else '_no_bias'}", {"xs": filled(2, 8, 5, 7)}, mlp_params(8, 2, bias), forward)


def eca(case, channels, kernel_size=None):
    layer = EcaModule(channels) if kernel_size is None else EcaModule(kernel_size=kernel_size)
    params = {"conv.weight": filled(*layer.conv.weight.shape) * 0.6}

    def forward(i, p, _b):
        features = torch.func.functional_call(layer, p, (i["xs"],))
        kernel = p["conv.weight"]
        logits = F.conv1d(i["xs"].mean((2, 3))[:, None], kernel, padding=kernel.shape[-1] // 2)[:, 0]
        return {"features": features, "gate": logits.sigmoid(), "logits": logits}

    write(case, {"xs": filled(2, channels, 4, 7)}, params, forward)


# BAM, by its paper's equations and the official code's join.


def bam(case, form, train):
    channels, hidden, dilation = 8, 2, 4
    params = mlp_params(channels, hidden, True, "channel.")
    buffers = {}
    shapes = {"reduce": (hidden, channels, 1, 1), "conv1": (hidden, hidden, 3, 3), "conv2": (hidden, hidden, 3, 3)}
    for name, shape in (shapes | {"out": (1, hidden, 1, 1)}).items():
        params |= {f"spatial.{name}.weight": filled(*shape) * 0.4, f"spatial.{name}.bias": filled(shape[0]) * 0.3}
    norms = {"reduce": "spatial.reduce_bn", "conv1": "spatial.bn1", "conv2": "spatial.bn2"}
    for norm in ("channel.bn", *norms.values()):
        params |= {f"{norm}.weight": 1 + filled(hidden) * 0.2, f"{norm}.bias": filled(hidden) * 0.3}
        buffers |= {f"{norm}.running_mean": filled(hidden) * 0.2, f"{norm}.running_var": 0.5 + torch.rand(hidden)}

    def forward(i, p, b):
        def norm(xs, name):
            statistics = [b[f"{name}.running_mean"], b[f"{name}.running_var"]]
            return F.relu(F.batch_norm(xs, *statistics, p[f"{name}.weight"], p[f"{name}.bias"], train, 0.1, 1e-5))

        xs = i["xs"]
        linear = lambda xs, name: F.linear(xs, p[f"channel.{name}.weight"], p[f"channel.{name}.bias"])  # noqa: E731
        channel = linear(norm(linear(xs.mean((2, 3)), "fc1"), "channel.bn"), "fc2")[:, :, None, None]
        spatial = xs
        for name, shape in shapes.items():
            weight, bias = p[f"spatial.{name}.weight"], p[f"spatial.{name}.bias"]
            wide = {"padding": dilation, "dilation": dilation} if shape[-1] == 3 else {}
            spatial = norm(F.conv2d(spatial, weight, bias, **wide), norms[name])
        spatial = F.conv2d(spatial, p["spatial.out.weight"], p["spatial.out.bias"])
        gate = torch.sigmoid(channel * spatial if form == "product" else channel + spatial)
        return {"features": xs * (1 + gate), "gate": gate, "channel": gate.mean((2, 3)), "spatial": gate.mean(1)}

    write(case, {"xs": filled(3, channels, 5, 9)}, params, forward, buffers)


# Patch attention.


def positions(rows, columns, dim):
    """One number at a time, from the formula."""
    f = dim // 4
    out = torch.zeros(rows * columns, dim)
    for r in range(rows):
        for c in range(columns):
            for i in range(f):
                omega = 10000 ** (-i / f)
                values = (math.sin(r * omega), math.cos(r * omega), math.sin(c * omega), math.cos(c * omega))
                for block, value in enumerate(values):
                    out[r * columns + c, block * f + i] = value
    return out


def patch(case, size, p_size):
    n, c, h, w = size
    heads, head_dim = 2, 3
    width, inner = c * p_size * p_size, heads * head_dim
    params = {"norm.weight": filled(width, shift=1.0) * 0.7, "norm.bias": filled(width) * 0.3}
    for x in ("q", "k", "v"):
        params |= {f"attention.{x}.weight": filled(inner, width, shift=0.02) * 0.3, f"attention.{x}.bias": filled(inner) * 0.3}
    params |= {"attention.out.weight": filled(width, inner) * 0.3, "attention.out.bias": filled(width) * 0.3}

    def forward(i, p, _b):
        xs = i["xs"]
        padded = F.pad(xs, [0, -w % p_size, 0, -h % p_size], mode="replicate")
        rows, columns = padded.shape[2] // p_size, padded.shape[3] // p_size
        tokens = F.unfold(padded, p_size, stride=p_size).transpose(1, 2)
        normed = F.layer_norm(tokens, (width,), p["norm.weight"], p["norm.bias"]) + positions(rows, columns, width)
        q, k, v = (
            F.linear(normed, p[f"attention.{x}.weight"], p[f"attention.{x}.bias"]).view(n, -1, heads, head_dim).transpose(1, 2)
            for x in "qkv")
        weights = (q @ k.transpose(-2, -1) / math.sqrt(head_dim)).softmax(-1)
        context = F.linear((weights @ v).transpose(1, 2).flatten(2), p["attention.out.weight"], p["attention.out.bias"])
        folded = F.fold(context.transpose(1, 2), padded.shape[2:], p_size, stride=p_size)
        received = weights.sum(2).view(n, heads, rows, columns)  # mean over T queries, times T
        return {"features": xs + folded[:, :, :h, :w], "weights": weights, "received": received}

    write(f"patch_{case}", {"xs": filled(*size)}, params, forward)


def main():
    torch.manual_seed(20180717)
    for masked in ("none", "boolean", "additive"):
        sdpa(masked)
    scores()
    multi_head("multi_head_self", None)
    multi_head("multi_head_cross", 6)
    multi_head("multi_head_masked", None)
    for name in ("avg", "max", "lp", "lse"):
        channel(name, [name], True)
    channel("all", ["avg", "max", "lp", "lse"], True)
    channel("no_bias", ["avg", "max"], False)
    spatial("k7_max_mean_bn_eval", 7, ["max", "mean"], "zeros", True)
    spatial("k7_max_mean_bn_train", 7, ["max", "mean"], "zeros", True, train=True)
    spatial("k3_mean_max_bn_train", 3, ["mean", "max"], "zeros", True, train=True)
    spatial("k3_max_mean", 3, ["max", "mean"], "zeros", False)
    spatial("k7_mean_max_replicate", 7, ["mean", "max"], "replicate", False)
    spatial("k3_max_mean_replicate_bn_eval", 3, ["max", "mean"], "replicate", True)
    cbam(train=False)
    cbam(train=True)
    timm_cbam()
    patch("p1", (2, 10, 3, 5), 1)
    patch("p2", (2, 3, 4, 6), 2)
    patch("p2_padded", (2, 3, 5, 7), 2)
    squeeze_excite(bias=True)
    squeeze_excite(bias=False)
    eca("eca", 24)
    eca("eca_k5", 9, kernel_size=5)
    bam("bam_product_eval", "product", train=False)
    bam("bam_product_train", "product", train=True)
    bam("bam_sum_eval", "sum", train=False)


main()
