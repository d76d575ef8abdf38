#!/usr/bin/env bash
# Makes the pictures of README again, from the bundled photos. usage: readme.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-target/release/cbam-run}
images=assets/images out=assets/readme

"$program" $images/coffee.jpg --jpeg-quality 80 --panel $out/panel.jpg
"$program" $images/astronaut.jpg --class "space shuttle" --compare gradcam,layercam,eigencam,fused,object --overlay $out/compare.jpg
"$program" $images/chelsea.jpg --legend --overlay $out/overlay.jpg
"$program" $images/coffee.jpg --map patch@330,220 --legend --overlay $out/query.jpg
scripts/web-tools.sh
node tests/web/shots.mjs target/shots $out/page.jpg
