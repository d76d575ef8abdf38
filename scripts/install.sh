#!/usr/bin/env bash
# install.sh PREFIX [FOLDER]: the programs to PREFIX/bin, the libraries that they are linked with to PREFIX/lib/cbam, where their
# RUNPATH ($ORIGIN/../lib/cbam) finds them wherever PREFIX is and whatever becomes of the clone.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${1:?usage: install.sh PREFIX [FOLDER OF THE PROGRAMS]}
built=${2:-target/release}
mkdir -p "$prefix/bin" "$prefix/lib/cbam"

# Every libtorch library of this build: those that lie beside libtorch_cpu.so.
torch=$(ldd "$built/cbam-run" | awk '/libtorch_cpu\.so/ {print $3}')
[ -e "$torch" ] || { echo "install.sh: $built/cbam-run does not find libtorch_cpu.so; run 'make build' first" >&2; exit 1; }
lib=$(dirname "$torch")
ldd "$built/cbam-run" | awk -v lib="$lib/" 'index($3, lib) == 1 {print $3}' | while read -r library; do
    install -m 644 "$library" "$prefix/lib/cbam/.partial"
    mv -f "$prefix/lib/cbam/.partial" "$prefix/lib/cbam/$(basename "$library")"
done
# The CUDA part, if it was fetched: opened at run time, never linked.
if [ -d libtorch-cuda/lib ]; then
    rm -rf "$prefix/lib/cbam-cuda.partial" "$prefix/lib/cbam-cuda"
    cp -r libtorch-cuda/lib "$prefix/lib/cbam-cuda.partial"
    mv "$prefix/lib/cbam-cuda.partial" "$prefix/lib/cbam-cuda"
fi
for program in cbam-run cbam-train cbam-eval cbam-weights; do
    install -m 755 "$built/$program" "$prefix/bin/.$program.partial"
    mv -f "$prefix/bin/.$program.partial" "$prefix/bin/$program"
done
echo "installed $prefix/bin/cbam-run; its libraries are in $prefix/lib/cbam"
case ":$PATH:" in *":$prefix/bin:"*) ;; *) echo "add $prefix/bin to your PATH" ;; esac
