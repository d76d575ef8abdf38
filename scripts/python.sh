#!/usr/bin/env bash
# python.sh: builds the Python package and tests it. usage: python.sh wheel | fetch | test [PYTEST'S WORDS...]
#
# `fetch` brings what the others need of the network, as far as it can be known before the package is built. `wheel` builds for older
# systems as well (manylinux), with zig as the linker. `test` builds for this machine, looks what is in the wheel, and tests it in two
# fresh environments: beside NumPy alone, and beside PyTorch. TORCH=2.15.0 takes another PyTorch.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
what=${1:?wheel, fetch or test}
shift

# uv brings PyTorch in half a minute, where pip takes several.
tools="$target/python-tools"
if [ ! -e "$tools/ready" ] || [ python/tests/requirements.txt -nt "$tools/ready" ]; then
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/pip" install -q uv==0.13.9 'ziglang<0.16' $(grep -E '^(maturin|twine)==' python/tests/requirements.txt)
    touch "$tools/ready"
fi
environment() { # FOLDER PACKAGES...
    local folder=$1
    shift
    "$tools/bin/uv" venv -q --clear --python python3 "$folder"
    "$tools/bin/uv" pip install -q --python "$folder/bin/python" "$@"
}
numpy_alone=(numpy==2.4.6 $(grep -E '^(pytest|Pillow)==' python/tests/requirements.txt))
if [ -z "${TORCH:-}" ]; then
    pytorch=(-r python/tests/requirements.txt)
else
    pytorch=("torch==$TORCH" torchvision timm grad-cam numpy opencv-python-headless
        $(grep -E '^(pytest|Pillow|pyright|pandas|pyarrow|daft|ray\[data\])==' python/tests/requirements.txt))
fi
if [ "$what" = fetch ]; then # into uv's cache
    environment "$target/python-bare" "${numpy_alone[@]}"
    environment "$target/python-torch" "${pytorch[@]}"
    exit
fi
built() { # WORDS OF maturin...
    rm -rf "$target/wheels"
    "$tools/bin/maturin" build -q --release --locked --compression-level 9 --manifest-path python/Cargo.toml --out "$target/wheels" "$@"
    "$tools/bin/twine" check --strict "$target"/wheels/*.whl
    "$tools/bin/python" scripts/wheel_contents.py "$target"/wheels/*.whl
}

if [ "$what" = wheel ]; then
    PATH="$tools/bin:$PATH" built --zig --target "$(rustc -vV | sed -n 's/^host: //p')" --compatibility manylinux2014
    exit
fi
[ "$what" = test ] || { echo "python.sh: $what is neither wheel, fetch nor test" >&2; exit 2; }
built --compatibility linux
echo "== beside NumPy alone"
environment "$target/python-bare" "$target"/wheels/*.whl "${numpy_alone[@]}"
"$target/python-bare/bin/pytest" python/tests "$@"
echo "== beside PyTorch ${TORCH:-2.11.0}"
environment "$target/python-torch" "$target"/wheels/*.whl "${pytorch[@]}"
"$target/python-torch/bin/pytest" python/tests "$@"
"$target/python-torch/bin/pyright" --pythonpath "$target/python-torch/bin/python" --project python
