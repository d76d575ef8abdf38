#!/usr/bin/env bash
# gpu-check.sh BUNDLE.tar.xz [--device cuda|cpu] [--minutes 8] [--out FOLDER]: everything that wants a GPU, on a machine with an NVIDIA
# GPU and PyTorch 2.11 in its python3, without Rust and without a network. BUNDLE is what `make gpu-check-bundle` made elsewhere.
# Runs over PyTorch's own libtorch; prints one table: tests, maps on the GPU against the CPU, speed against PyTorch. Exit status 0: all
# holds; 1: something does not; 2: nothing could be run. `--device cpu` tries the check itself where there is no GPU.
set -euo pipefail
bundle=${1:?usage: gpu-check.sh BUNDLE.tar.xz [--device cuda|cpu] [--minutes 8] [--out FOLDER]}
shift
[ -f "$bundle" ] || { echo "gpu-check.sh: $bundle is not there; 'make gpu-check-bundle' makes it" >&2; exit 2; }
python=${PYTHON:-python3}
lib=$("$python" -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))') ||
    { echo "gpu-check.sh: $python cannot import torch; PYTHON names another" >&2; exit 2; }
version=$("$python" -c 'import torch; print(torch.__version__)')
case "$version" in
2.11.0*) ;;
*) echo "gpu-check.sh: $python has PyTorch $version; the programs are linked for 2.11.0 and no other" >&2; exit 2 ;;
esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$bundle" "$folder" 2>/dev/null ||
    { echo "gpu-check.sh: $bundle cannot be unpacked" >&2; exit 2; }
export CBAM_ROOT="$folder/gpu-check" LD_LIBRARY_PATH="$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" PYTHONUNBUFFERED=1
"$python" "$CBAM_ROOT/scripts/gpu_check.py" "$@"
