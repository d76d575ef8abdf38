"""The networks of any_network.py --kind more: what libraries beside timm, torchvision and pytorchcv build, with random weights; of the large
ones a few layers. name → a function that builds it, and its side in pixels.
"""

import importlib
import os

os.environ |= {"HF_HUB_OFFLINE": "1", "YOLO_OFFLINE": "1"}

SMALL = {"num_hidden_layers": 3, "hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 384}
DINO = {"num_hidden_layers": 3, "hidden_size": 192, "num_attention_heads": 3, "image_size": 224}
# Of transformers: its configuration; its class, if it is not that of classifiers; its side; what is not as the configuration has it.
TRANSFORMERS = {
    "vit": ("ViT", "", 224, SMALL),
    "deit": ("DeiT", "", 224, SMALL),
    "deit-distilled": ("DeiT", "DeiTForImageClassificationWithTeacher", 224, SMALL),
    "beit": ("Beit", "", 224, SMALL),
    "data2vec": ("Data2VecVision", "", 224, SMALL),
    "vit-msn": ("ViTMSN", "", 224, SMALL),
    "ijepa": ("IJepa", "", 224, SMALL),
    "dinov2": ("Dinov2", "", 224, DINO),
    "dinov2-registers": ("Dinov2WithRegisters", "", 224, DINO),
    "dinov3": ("DINOv3ViT", "DINOv3ViTModel", 224, SMALL),
    "clip": ("CLIPVision", "CLIPVisionModelWithProjection", 224, SMALL),
    "siglip": ("SiglipVision", "SiglipVisionModel", 224, SMALL),
    "yolos": ("Yolos", "YolosForObjectDetection", 224, SMALL | {"image_size": [224, 224], "num_detection_tokens": 20}),
    "dpt": ("DPT", "DPTForDepthEstimation", 224, SMALL | {
        "num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [24, 48, 96, 96], "image_size": 224}),
    "swin": ("Swin", "", 224, {}),
    "swinv2": ("Swinv2", "", 256, {"image_size": 256, "window_size": 8}),
    "hiera": ("Hiera", "", 224, {}),
    "pvt": ("Pvt", "", 224, {}),
    "pvtv2": ("PvtV2", "", 224, {}),
    "segformer": ("Segformer", "", 224, {}),
    "segformer-segmenter": ("Segformer", "SegformerForSemanticSegmentation", 224, {}),
    "glpn": ("GLPN", "GLPNForDepthEstimation", 224, {}),
    "upernet": ("UperNet", "UperNetForSemanticSegmentation", 224, {}),
    "poolformer": ("PoolFormer", "", 224, {}),
    "levit": ("Levit", "", 224, {}),
    "levit-distilled": ("Levit", "LevitForImageClassificationWithTeacher", 224, {}),
    "cvt": ("Cvt", "", 224, {}),
    "focalnet": ("FocalNet", "", 224, {}),
    "swiftformer": ("SwiftFormer", "", 224, {}),
    "mobilevit": ("MobileViT", "", 256, {}),
    "mobilevitv2": ("MobileViTV2", "", 256, {}),
    "convnext": ("ConvNext", "", 224, {}),
    "convnextv2": ("ConvNextV2", "", 224, {}),
    "resnet": ("ResNet", "", 224, {"depths": [1, 1, 1, 1]}),
    "resnet-basic": ("ResNet", "", 224, {"depths": [1, 1, 1, 1], "layer_type": "basic", "hidden_sizes": [64, 64, 128, 256]}),
    "bit": ("Bit", "", 224, {"depths": [1, 1, 1, 1]}),
    "regnet": ("RegNet", "", 224, {}),
    "mobilenetv1": ("MobileNetV1", "", 224, {}),
    "mobilenetv2": ("MobileNetV2", "", 224, {}),
    "efficientnet": ("EfficientNet", "", 224, {"width_coefficient": 1.0, "depth_coefficient": 1.0, "image_size": 224, "hidden_dim": 1280}),
    "textnet": ("TextNet", "", 224, {}),
}
# Of segmentation-models-pytorch: its class, and what it is made with.
SEGMENTERS = {
    "unet": ("Unet", {}),
    "unet-scse": ("Unet", {"decoder_attention_type": "scse"}),
    "unet-classifier": ("Unet", {"aux_params": {"classes": 4}}),
    "unet-efficientnet": ("Unet", {"encoder_name": "efficientnet-b0"}),
    "unet-mit": ("Unet", {"encoder_name": "mit_b0"}),
    "unet-se": ("Unet", {"encoder_name": "se_resnet50"}),
    "unetplusplus": ("UnetPlusPlus", {}),
    "linknet": ("Linknet", {}),
    "fpn": ("FPN", {}),
    "pan": ("PAN", {}),
    "manet": ("MAnet", {}),
    "pspnet": ("PSPNet", {}),
    "deeplabv3plus": ("DeepLabV3Plus", {}),
    "upernet": ("UPerNet", {}),
    "segformer": ("Segformer", {}),
}
YOLO = ["yolov5n", "yolov8n", "yolov8n-cls", "yolov8n-seg", "yolo11n", "yolo11n-cls"]
PLANE = {"spatial_dims": 2, "in_channels": 3}
WIDTHS = ((8, 16, 32, 64), (2, 2, 2))
# Of MONAI: its class, its side, and what it is made with, by place and by name.
MONAI = {
    "unet": ("UNet", 128, (2, 3, 2, *WIDTHS), {}),
    "attention-unet": ("AttentionUnet", 128, (2, 3, 2, *WIDTHS), {}),
    "basic-unet": ("BasicUNet", 128, (2, 3, 2), {}),
    "segresnet": ("SegResNet", 128, (2, 8, 3, 2), {}),
    "densenet": ("DenseNet121", 224, (2, 3, 4), {}),
    "seresnet": ("SEResNet50", 224, (), PLANE | {"num_classes": 4}),
    "vit": ("ViT", 96, (3, (96, 96), (16, 16)), {"hidden_size": 96, "mlp_dim": 192, "num_layers": 3, "num_heads": 4, "classification": True,
                                                "num_classes": 5, "spatial_dims": 2}),
    "unetr": ("UNETR", 128, (), PLANE | {"out_channels": 2, "img_size": (128, 128), "feature_size": 8, "hidden_size": 96, "mlp_dim": 192,
                                         "num_heads": 4}),
    "swin-unetr": ("SwinUNETR", 128, (), PLANE | {"out_channels": 2, "feature_size": 12}),
}
TEN = {"num_classes": 10}
LAYERS = TEN | {"image_size": 224, "dim": 96, "patch_size": 32, "depth": 3, "heads": 4, "mlp_dim": 128}
# Of vit-pytorch: its module and class, and what it is made with.
VIT_PYTORCH = {
    "vit": ("vit.ViT", LAYERS),
    "simple-vit": ("simple_vit.SimpleViT", LAYERS),
    "deepvit": ("deepvit.DeepViT", LAYERS),
    "cait": ("cait.CaiT", LAYERS | {"cls_depth": 2}),
    "xcit": ("xcit.XCiT", LAYERS | {"cls_depth": 2}),
    "rvt": ("rvt.RvT", LAYERS),
    "pit": ("pit.PiT", LAYERS | {"patch_size": 14, "depth": (2, 2, 2)}),
    "t2t": ("t2t.T2TViT", TEN | {"dim": 96, "image_size": 224, "depth": 3, "heads": 4, "mlp_dim": 128}),
    "cct": ("cct.CCT", TEN | {"img_size": (224, 224), "embedding_dim": 96, "n_conv_layers": 2, "num_layers": 3, "num_heads": 4}),
    "crossformer": ("crossformer.CrossFormer", TEN),
    "regionvit": ("regionvit.RegionViT", TEN),
    "maxvit": ("max_vit.MaxViT", TEN | {"dim": 32, "depth": (1, 1, 1, 1)}),
}
OPEN_CLIP = ["RN50", "ViT-B-32", "convnext_base", "coca_ViT-B-32"]
CADENE = {"se_resnet50": 224, "dpn68": 224, "nasnetamobile": 224, "polynet": 331, "xception": 299, "inceptionv4": 299}
OTHERS = {"efficientnet-pytorch/b0": 224, "facenet-pytorch/inception-resnet-v1": 160}


def names():
    of = {"transformers": TRANSFORMERS, "segmentation-models-pytorch": SEGMENTERS, "ultralytics": YOLO, "monai": MONAI,
          "vit-pytorch": VIT_PYTORCH, "open-clip": OPEN_CLIP, "pretrainedmodels": CADENE}
    return [*(f"{library}/{name}" for library, names in of.items() for name in names), *OTHERS]


def build(library, name):
    """A network of these, and its height and width in pixels."""
    if library == "transformers":
        package = importlib.import_module(library)
        config, model, side, changes = TRANSFORMERS[name]
        return getattr(package, model or f"{config}ForImageClassification")(getattr(package, f"{config}Config")(**changes)), (side, side)
    if library == "segmentation-models-pytorch":
        kind, changes = SEGMENTERS[name]
        options = {"encoder_name": "resnet18", "encoder_weights": None, "classes": 3} | changes
        return getattr(importlib.import_module("segmentation_models_pytorch"), kind)(**options), (128, 128)
    if library == "ultralytics":
        model = importlib.import_module(library).YOLO(f"{name}.yaml").model.float()
        for module in model.modules():
            if hasattr(module, "export"):
                module.export, module.format = True, "torchscript"
        return model, (224, 224)
    if library == "monai":
        kind, side, places, options = MONAI[name]
        return getattr(importlib.import_module("monai.networks.nets"), kind)(*places, **options), (side, side)
    if library == "vit-pytorch":
        path, options = VIT_PYTORCH[name]
        module, kind = path.split(".")
        return getattr(importlib.import_module(f"vit_pytorch.{module}"), kind)(**options), (224, 224)
    if library == "open-clip":
        return importlib.import_module("open_clip").create_model(name, pretrained=None).visual, (224, 224)
    if library == "pretrainedmodels":
        model = getattr(importlib.import_module(library), name)(num_classes=1000, pretrained=None)
        return model, (CADENE[name], CADENE[name])
    side = OTHERS[f"{library}/{name}"]
    if library == "efficientnet-pytorch":
        model = importlib.import_module("efficientnet_pytorch").EfficientNet.from_name("efficientnet-b0")
        model.set_swish(memory_efficient=False)  # as its README says for exports
        return model, (side, side)
    return importlib.import_module("facenet_pytorch").InceptionResnetV1(classify=True, num_classes=10, pretrained=None), (side, side)
