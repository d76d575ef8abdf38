#!/usr/bin/env bash
# Unpacks libtorch from pinned, hashed wheels: `libtorch.sh cpu` fills libtorch/, `libtorch.sh cuda` fills libtorch-cuda/.
# The folder appears whole or not at all; one that is there already is left as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

part=${1:?usage: libtorch.sh cpu|cuda}
case "$part" in
cpu) folder=libtorch ;;
cuda) folder=libtorch-cuda ;;
*) echo "libtorch.sh: no part named $part (cpu or cuda)" >&2; exit 2 ;;
esac
# A folder from an older pin is stale: the stamp is the list of wheels itself.
if cmp -s "scripts/libtorch-$part.txt" "$folder/wheels.txt"; then exit 0; fi
scripts/machine.sh "$part" # all that is missing, before half a gigabyte is fetched

partial="$folder.partial"
rm -rf "$partial"
trap 'rm -rf "$partial"' EXIT
mkdir -p "$partial/wheels" "$partial/lib"

echo "Fetching libtorch 2.11.0 ($part) from PyPI into $folder/ ..." >&2
python3 -m pip download --quiet --no-deps --only-binary=:all: --require-hashes \
    --python-version 3.11 --implementation cp --abi cp311 \
    $(printf -- '--platform manylinux_2_%s_x86_64 ' 28 27 25 24 18 17) \
    --platform manylinux2014_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64 \
    --requirement "scripts/libtorch-$part.txt" --dest "$partial/wheels"
python3 scripts/unpack_wheels.py "$part" "$partial"
rm -rf "$partial/wheels"

if [ "$part" = cpu ]; then
    # The wheel's libtorch.so pulls in CUDA; this one only says that libtorch is libtorch_cpu.
    ${CXX:-c++} -shared -o "$partial/lib/libtorch.so" -Wl,-soname,libtorch.so -Wl,--no-as-needed \
        -L"$partial/lib" -ltorch_cpu -lc10 -Wl,-rpath,'$ORIGIN' -Wl,--allow-shlib-undefined -nostdlib
    echo 2.11.0 >"$partial/build-version"
fi
cp "scripts/libtorch-$part.txt" "$partial/wheels.txt"
rm -rf "$folder"
mv "$partial" "$folder"
trap - EXIT
