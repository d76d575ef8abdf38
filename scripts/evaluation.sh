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

evaluate attentive --maps fused,spatial,spatial:stage5,patch,patch:stage7,rollout,gradcam --against gradcam --measure none
evaluate plain --plain --maps gradcam,gradcam++,hirescam,layercam,layercam:stage5,xgradcam,eigencam,eigencam:stage7 \
    --measure none
evaluate attentive-clutter --maps fused,spatial,gradcam --against gradcam --measure clutter
evaluate plain-clutter --plain --maps gradcam --measure clutter
evaluate attentive-faithfulness --maps fused,gradcam --against gradcam --measure faithfulness --subset 50
evaluate attentive-sanity --maps fused,spatial,patch,gradcam --limit 24 --measure sanity
# Every method on the first 20 pictures, with what a picture costs: a run of 20 on one thread, divided by 20.
for method in gradcam gradcam++ hirescam layercam xgradcam eigencam ablationcam occlusion rise scorecam; do
    rm -rf "$out/first20-$method"
    start=$(date +%s%N)
    evaluate "first20-$method" --plain --maps "$method" --limit 20 --subset 20 --measure none --threads 1
    echo "$method: $((($(date +%s%N) - start) / 20000000)) ms a picture"
done
