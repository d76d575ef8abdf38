#!/usr/bin/env bash
# machine.sh cpu|cuda: says everything that this machine lacks to fetch that part of libtorch and to build with it, all at once, and
# then ends with status 1. It looks only: it fetches and writes nothing.
#
# CARGO, RUSTC and CXX may name other tools than cargo, rustc and c++.
set -euo pipefail
cd "$(dirname "$0")/.."

part=${1:?usage: machine.sh cpu|cuda}
case "$part" in
cpu) gigabytes=3 ;;   # the wheels and what is unpacked from them, then target/
cuda) gigabytes=8 ;;
*) echo "machine.sh: no part named $part (cpu or cuda)" >&2; exit 2 ;;
esac
least_rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
least_glibc=2.28 # that of the wheels: manylinux_2_28

lacks=()    # what is missing, a line each
packages=() # of Debian and Ubuntu, that bring it
lack() { # WHAT [PACKAGE]
    lacks+=("$1")
    [ $# -lt 2 ] || packages+=("$2")
}
has() { command -v "$1" >/dev/null 2>&1; }
# at_least VERSION LEAST
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Another system is no list of missing packages: nothing else that is said here would help there.
refuse() { # SYSTEM WHAT TO DO THERE
    printf '%s\n' "libtorch.sh: the libtorch that is fetched here is for Linux on x86-64 with glibc; this is $1." "$2" >&2
    exit 1
}
own="set LIBTORCH to the folder of a libtorch 2.11.0 for this system, or LIBTORCH_USE_PYTORCH=1 where python3 has PyTorch 2.11.0, \
then run make again or cargo build --release"
system=$(uname -s) processor=$(uname -m)
case "$system $processor" in
"Linux x86_64" | "Linux amd64") ;;
"Linux aarch64" | "Linux arm64")
    refuse "Linux on 64-bit Arm" "Expected to work, but never tried: $own. No kernel here asks for x86-64." ;;
Darwin*)
    refuse "macOS on $processor" "Expected to work on Apple silicon, but never tried: $own. There is no libtorch 2.11.0 for Intel Macs." ;;
MINGW* | MSYS* | CYGWIN* | Windows*)
    refuse "Windows" "It is not expected to build there: it calls unix. Expected to work, but never tried: Ubuntu in WSL 2, as on any Linux." ;;
*)
    refuse "$system on $processor" "Not expected to work, and never tried; if there is a libtorch 2.11.0 for it, $own." ;;
esac
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc //p') || true
if [ -z "$glibc" ]; then
    refuse "Linux without glibc (musl, as in Alpine?)" \
        "There is no libtorch for it. Expected to work: a container or chroot of Debian or Ubuntu on the same machine."
fi
at_least "$glibc" "$least_glibc" ||
    lack "glibc $least_glibc or later: this system has $glibc, and no package changes that; take a newer release of it"

# Python fetches the wheels and unpacks them.
if ! has python3; then
    lack "python3 with pip" python3-pip
else
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
        lack "python3, 3.8 or later: $(command -v python3) is $(python3 --version 2>&1 | head -n 1)"
    fi
    python3 -c 'import ssl, zipfile' 2>/dev/null || lack "python3's modules ssl and zipfile: $(command -v python3) lacks them" python3
    python3 -m pip --version >/dev/null 2>&1 || lack "pip: $(command -v python3) -m pip does not run" python3-pip
fi

# The compiler is tried, not only found: torch-sys is C++17, and Rust links with cc.
cxx=${CXX:-c++}
if ! has "${cxx%% *}"; then
    lack "a C++ compiler ($cxx)" g++
elif ! echo '#include <optional>' | $cxx -std=c++17 -x c++ -fsyntax-only - >/dev/null 2>&1; then
    lack "a C++ compiler that knows C++17 and finds its headers: $cxx does not" g++
fi
has cc || lack "a C compiler, cc, with which Rust links" gcc

# Rust: the tool, and what is wrong with it.
cargo=${CARGO:-cargo} rustc=${RUSTC:-rustc} rust=()
for tool in "$cargo" "$rustc"; do
    if ! has "$tool"; then
        rust+=("there is no $(basename "$tool")")
    elif ! said=$("$tool" --version 2>&1); then
        rust+=("'$tool --version' fails: $(head -n 1 <<<"$said")")
    else
        version=$(awk '{print $2}' <<<"$said")
        at_least "$version" "$least_rust" || rust+=("$(command -v "$tool") is $version")
    fi
done
if [ ${#rust[@]} -gt 0 ]; then
    found=$(printf '%s; ' "${rust[@]}")
    lack "Rust $least_rust or later: ${found%; }. Install it with rustup (https://rustup.rs) and open a new shell; a distribution's own \
is often older"
fi
host=$("$rustc" -vV 2>/dev/null | sed -n 's/^host: //p') || true
[ "${host:-x86_64-unknown-linux-gnu}" = x86_64-unknown-linux-gnu ] ||
    lack "a Rust toolchain for x86_64-unknown-linux-gnu: $rustc is for $host, which cannot link libtorch"

free=$(df -Pk . 2>/dev/null | awk 'NR == 2 {print $4}')
[ "${free:-0}" -ge $((gigabytes * 1000 * 1000)) ] ||
    lack "$gigabytes GB of disk: $PWD has $((${free:-0} / 1000 / 1000)).$((${free:-0} / 100 / 1000 % 10)) GB left"

[ ${#lacks[@]} -gt 0 ] || exit 0
{
    echo "libtorch.sh: nothing was fetched yet. This machine lacks:"
    printf '  - %s\n' "${lacks[@]}"
    if [ ${#packages[@]} -gt 0 ]; then
        echo "On Debian or Ubuntu: sudo apt install $(printf '%s\n' "${packages[@]}" | sort -u | paste -sd ' ')"
    fi
} >&2
exit 1
