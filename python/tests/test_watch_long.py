"""The wider list of networks, watched: two minutes and more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from ear import Compared, Heard
from pytorchcv.model_provider import get_model
from torch import nn

from cbam._watch import watch

# Softmaxes of places alone, which say nothing of a picture.
OF_PLACES = {"timm/convit_tiny": 10}
# Sigmoids that are no gates: of numbers that the network learned, or x · σ(x) written out.
NO_GATES = {"timm/convit_tiny", "tv/swin_v2_t", "timm/swinv2_tiny_window8_256", "cv/mixnet_s", "cv/efficientnet_b0"}

LIST = """cv/cbam_resnet18@224 cv/bam_resnet18@224 cv/sknet50@224 cv/resnesta18@224 cv/senet28@224 cv/sepreresnet18@224 cv/seresnet18@224
cv/ghostnet@224 cv/airnet50_1x64d_r2@224 cv/scnet50@224 cv/mobilenetv3_small_w1@224 cv/sqnxt23_w1@224 cv/mixnet_s@224 cv/efficientnet_b0@224
tv/maxvit_t@224 tv/efficientnet_b0@64 tv/efficientnet_v2_s@64 tv/regnet_y_400mf@64 tv/swin_t@224 tv/swin_v2_t@224 tv/mobilenet_v3_large@64
tv/googlenet@64 tv/inception_v3@128 tv/vit_b_32@224 seg/lraspp_mobilenet_v3_large@64 seg/deeplabv3_mobilenet_v3_large@64
timm/resnest14d@64 timm/skresnet18@64 timm/seresnet50@64 timm/botnet50ts_256@256 timm/coat_tiny timm/convit_tiny timm/coatnet_nano_rw_224
timm/cait_xxs24_224 timm/beit_base_patch16_224 timm/crossvit_tiny_240 timm/davit_tiny timm/deit_tiny_patch16_224 timm/edgenext_xx_small@64
timm/deit3_small_patch16_224 timm/efficientformer_l1 timm/efficientformerv2_s0 timm/efficientvit_m0 timm/fastvit_t8@128
timm/focalnet_tiny_srf timm/gcvit_xxtiny timm/ghostnet_050@64 timm/hardcorenas_b@64 timm/hiera_tiny_224 timm/levit_128s timm/gmlp_ti16_224
timm/mobilenetv4_hybrid_medium@128 timm/mobilevit_xxs@128 timm/mobilevitv2_050@128 timm/mvitv2_tiny timm/nest_tiny timm/nextvit_small@128
timm/nfnet_l0@64 timm/eca_nfnet_l0@64 timm/pit_ti_224 timm/pvt_v2_b0 timm/regnety_002@64 timm/rexnet_100@64 timm/sequencer2d_s
timm/swin_tiny_patch4_window7_224 timm/swinv2_tiny_window8_256 timm/swinv2_cr_tiny_ns_224 timm/tiny_vit_5m_224 timm/tnt_s_patch16_224
timm/tresnet_m@64 timm/twins_pcpvt_small timm/twins_svt_small timm/visformer_tiny timm/vit_tiny_patch16_dinov3_qkvb timm/volo_d1_224
timm/ese_vovnet19b_dw@64 timm/xcit_nano_12_p16_224 timm/eva02_tiny_patch14_224 timm/ecaresnet26t@64 timm/gcresnext26ts@64
timm/lambda_resnet26t@64 timm/convnextv2_atto@64 timm/maxvit_rmlp_pico_rw_256 timm/seresnext26ts@64 timm/sedarknet21@64
timm/vit_relpos_small_patch16_224 timm/vit_pwee_patch16_reg1_gap_256 timm/test_vit3 timm/test_vit4
timm/swiftformer_xs timm/shvit_s1 timm/tf_efficientnetv2_b0@64 timm/mixer_s32_224 timm/resmlp_12_224""".split()


def make(name: str, side: int) -> nn.Module:
    library, _, of = name.partition("/")
    makers: dict[str, Callable[[], nn.Module]] = {
        "cv": lambda: get_model(of),
        "tv": lambda: torchvision.models.get_model(of, weights=None, num_classes=10),
        "seg": lambda: torchvision.models.get_model(of, weights=None, weights_backbone=None, num_classes=10),
        "timm": lambda: timm.create_model(of),
    }
    return makers[library]().eval()


@pytest.mark.long
@pytest.mark.parametrize("entry", LIST)
def test_nothing_is_missed(entry: str) -> None:
    name, _, side = entry.partition("@")
    torch.manual_seed(0)
    config = timm.get_pretrained_cfg(name.partition("/")[2]) if name.startswith("timm/") else None
    length = int(side) if side else (config.input_size[-1] if config else 224)
    model, x = make(name, length), torch.randn(1, 3, length, length)
    with torch.no_grad():
        with Heard(model) as heard:
            model(x)
        with watch(model) as watched:
            model(x)
    of = Compared(watched.seen, heard.records)
    gates = [found for found in of.missing if found[0] == "gate"]
    assert not of.invented and (not gates or name in NO_GATES)
    assert len(of.missing) - len(gates) == OF_PLACES.get(name, 0), of.missing
