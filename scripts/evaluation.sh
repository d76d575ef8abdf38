#!/usr/bin/env bash
# Every table of docs/EVALUATION.md. usage: evaluation.sh IMAGES TRUTH OUT [PROGRAM]
#
# SUBSET is how many pictures the costly methods (Score-CAM, Ablation-CAM, occlusion, RISE) are measured on: 100 if it is not
# set. Each report keeps the scores of each picture, so a run that is stopped goes on where it was.
set -euo pipefail

images=${1:?the pictures: a folder or a tar}
truth=${2:?the truth: a table, COCO JSON, or a folder of VOC files or masks}
out=${3:?a folder for the reports}
program=${4:-target/release/cbam-eval}
subset=${SUBSET:-100}

evaluate() { # NAME OPTIONS...
    local name=$1
    shift
    echo "== $name"
    "$program" --images "$images" --truth "$truth" --report "$out/$name" "$@"
}

gates=spatial,spatial:stage6.expansion,spatial:stage5
evaluate attentive --maps "fused,object,$gates,patch,patch:stage7,rollout,gradcam" --against gradcam --measure time
evaluate plain --plain --subset "$subset" --measure time --maps \
    gradcam,object,gradcam++,hirescam,layercam,layercam:stage5,xgradcam,eigencam,eigencam:stage7,ablationcam,occlusion,rise,scorecam
evaluate attentive-clutter --maps fused,object,spatial,gradcam --against gradcam --measure clutter
evaluate plain-clutter --plain --maps gradcam --measure clutter
evaluate attentive-faithfulness --maps fused,object,gradcam --against gradcam --measure faithfulness --subset 100
evaluate attentive-sanity --maps fused,object,spatial,patch,gradcam --limit 24 --measure sanity
for lite in 1 2; do
    evaluate "lite$lite" --weights "assets/weights/efficientnet-lite$lite-attentive.safetensors" \
        --maps fused,object,spatial,patch,gradcam --against gradcam --measure none
    evaluate "plain-lite$lite" --weights models/efficientnet-lite$lite-*.pth --maps gradcam,eigencam:stage7 --measure none
done
