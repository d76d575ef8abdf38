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

# Ten seconds: a slow pan over a photo, and of what is drawn a frame every two and a half seconds.
scripts/ffmpeg.sh
film=$(mktemp -d)
trap 'rm -rf "$film"' EXIT
ffmpeg -v error -loop 1 -r 25 -i $images/chelsea.jpg -frames:v 250 -vf "crop=300:226:n*0.6:36" -c:v libx264 -pix_fmt yuv420p "$film/pan.mp4"
"$program" "$film/pan.mp4" --overlay "$film/out.mp4"
ffmpeg -v error -y -i "$film/out.mp4" -vf "select=not(mod(n\\,62)),tile=5x1:padding=4:color=white" -frames:v 1 -q:v 3 $out/film.jpg

scripts/web-tools.sh
node tests/web/shots.mjs target/shots $out/page.jpg
