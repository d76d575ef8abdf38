"""Logits of efficientnet-lite-pytorch 0.1.0 (PyTorch 2.11) on two photos, for Lite0, 1 and 2.

usage: gen.py MODELS, the folder that scripts/models.sh fills. The photos are scikit-image's coffee (Rachel Michetti)
and chelsea (Stéfan van der Walt), both CC0, scaled down and cropped to sizes that are neither square nor round.
"""
import pathlib
import sys

import numpy as np
import skimage.data
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from safetensors.torch import save_file

torch.set_num_threads(1)
models, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent


def crop(picture, short, height, width):
    """The middle of a picture whose height was scaled to `short`, as [3, height, width]."""
    picture = Image.fromarray(picture)
    picture = picture.resize((round(picture.width * short / picture.height), short), Image.Resampling.BICUBIC)
    left, top = (picture.width - width) // 2, (short - height) // 2
    return torch.from_numpy(np.asarray(picture)[top : top + height, left : left + width].copy()).permute(2, 0, 1).contiguous()


def logits(arch, pixels, **size):
    [file] = models.glob(f"{arch}-*.pth")
    net = EfficientNet.from_name(arch, **size)
    net.load_state_dict(torch.load(file, weights_only=True))
    net.eval()
    with torch.no_grad():
        return net((pixels[None].float() - 127) / 128)[0]


out = {"coffee": crop(skimage.data.coffee(), 260, 260, 320), "chelsea": crop(skimage.data.chelsea(), 195, 195, 261)}
for arch, side in [("efficientnet-lite0", 224), ("efficientnet-lite1", 240), ("efficientnet-lite2", 260)]:
    for photo in ["coffee", "chelsea"]:
        # The package fixes the padding when it is built: tell it the size.
        out[f"{photo}.{arch}"] = logits(arch, out[photo], image_size=list(out[photo].shape[1:]))
    # The package as it comes, on the square that it is built for.
    out[f"square.{arch}"] = logits(arch, out["coffee"][:, :side, :side])
for name, value in out.items():
    if value.dim() == 1:
        print(name, value.argmax().item(), value.softmax(0).max().item())
save_file(out, here / "logits.safetensors", {"generator": f"torch {torch.__version__}, efficientnet-lite-pytorch 0.1.0"})
