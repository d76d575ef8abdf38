#!/usr/bin/env bash
# Fills data/ for training: the pictures of the tars in the data folder ($DATA), backgrounds and stamps from Debian's packages.
# Research use; nothing of it is committed. Each folder appears whole or not at all, and is left alone once there.
set -euo pipefail
cd "$(dirname "$0")/.."
source_folder=${DATA:-../shared/data}
mkdir -p data
trap 'rm -rf data/*.partial' EXIT

shopt -s nullglob
tars=("$source_folder"/*.tar "$source_folder"/train/*.tar)
[ ${#tars[@]} -gt 0 ] || { echo "train-data.sh: no tar of pictures in $source_folder; set DATA to their folder" >&2; exit 1; }
for tar in "${tars[@]}"; do
    name=$(basename "$tar" .tar)
    [ -d "data/images/$name" ] && continue
    rm -rf "data/$name.partial" && mkdir -p "data/$name.partial" data/images
    tar -xf "$tar" -C "data/$name.partial"
    mv "data/$name.partial" "data/images/$name"
done

# debian FOLDER PATH PACKAGE...: the pictures below PATH of some packages.
debian() {
    local folder=$1 path=$2 partial="data/$1.partial"
    shift 2
    [ -d "data/$folder" ] && return
    command -v dpkg-deb >/dev/null || { echo "train-data.sh: needs Debian's apt-get and dpkg-deb for $*" >&2; exit 1; }
    rm -rf "$partial" && mkdir -p "$partial/deb" "$partial/all"
    (cd "$partial/deb" && apt-get download -q "$@") ||
        { echo "train-data.sh: apt-get could not download $*; run 'apt-get update' and try again" >&2; exit 1; }
    for package in "$partial"/deb/*.deb; do dpkg-deb -x "$package" "$partial/all"; done
    mv "$partial/all/$path" "data/$folder"
    rm -rf "$partial"
}
debian wallpapers usr/share plasma-workspace-wallpapers mate-backgrounds gnome-backgrounds
debian stamps usr/share/tuxpaint/stamps tuxpaint-stamps-default
