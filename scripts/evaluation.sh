#!/usr/bin/env bash
# Every table of docs/EVALUATION.md. usage: evaluation.sh IMAGES TRUTH OUT [PROGRAM]
#
# Each report keeps the scores of each picture, so a run that is stopped goes on where it was.
set -euo pipefail

images=${1:?the pictures: a folder or a tar}
truth=${2:?the truth: a table, COCO JSON, or a folder of VOC files or masks}
out=${3:?a folder for the reports}
program=${4:-target/release/cbam-eval}

evaluate() { # NAME OPTIONS...
    local name=$1
    shift
    echo "== $name"
    "$program" --images "$images" --truth "$truth" --report "$out/$name" "$@"
}

evaluate attentive --maps fused,spatial,patch,patch:stage7,rollout,gradcam --against gradcam --measure all
evaluate plain --plain --maps gradcam,gradcam++,hirescam,layercam,layercam:stage5,xgradcam,eigencam,eigencam:stage7 \
    --measure all
# Methods that change the picture hundreds of times.
evaluate plain-costly --plain --maps gradcam,scorecam,ablationcam,occlusion,rise --subset 20 --measure time
