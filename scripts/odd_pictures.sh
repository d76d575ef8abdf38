#!/bin/bash
# Fetches odd pictures into a folder: the test pictures of Pillow, and PngSuite as pypng carries it, from their source packages.
set -euo pipefail
to=${1:?the folder}
mkdir -p "$to"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q -U pip setuptools wheel pybind11
fetch() { "$tmp/venv/bin/pip" download -q --no-binary :all: --no-deps --no-build-isolation "$1" -d "$tmp"; }
if [ ! -d "$to/pillow" ]; then
  fetch pillow==12.0.0
  tar xzf "$tmp"/pillow-*.tar.gz -C "$tmp" --wildcards '*/Tests/images/*'
  mv "$tmp"/pillow-*/Tests/images "$to/pillow"
fi
if [ ! -d "$to/pngsuite" ]; then
  fetch pypng==0.20220715.0
  tar xzf "$tmp"/pypng-*.tar.gz -C "$tmp"
  mkdir "$to/pngsuite"
  (cd "$tmp"/pypng-*/code && python3 -c '
import pathlib, sys
sys.path.insert(0, ".")
import pngsuite
for name, data in pngsuite.png.items():
    pathlib.Path(sys.argv[1], name + ".png").write_bytes(data)
' "$(cd "$OLDPWD" && cd "$to/pngsuite" && pwd)")
fi
