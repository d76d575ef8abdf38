#!/usr/bin/env bash
# wasm.sh [ARGUMENTS OF cargo build]: builds cbam-core, or what the arguments name, for WebAssembly in a browser.
#
# Rust's standard library for that target is rustup's, if it is installed or can be fetched; elsewhere it is built from source, by Debian's
# Rust for browsers, whose packages are installed if need be. RUSTFLAGS may name other features of WebAssembly than simd128.
# In a folder of its own, target/wasm, so that other builds can run beside it.
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown
debian=/usr/bin # there may be other tools of the same names before it in PATH
packages=(rustc-web cargo-web rust-web-src lld-19)
export RUSTFLAGS="${RUSTFLAGS--C target-feature=+simd128}"
# A page waits for every byte: as little as can be, and the same for the core alone, so that it is compiled once.
export CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 CARGO_PROFILE_RELEASE_STRIP=symbols
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/wasm"
[ $# -gt 0 ] || set -- -p cbam-core

least_rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
has_target() { [ -d "$("${RUSTC:-rustc}" --print target-libdir --target "$target" 2>/dev/null)" ]; }
if has_target || { rustup target add "$target" >/dev/null 2>&1 && has_target; }; then
    exec "${CARGO:-cargo}" build --release --target "$target" "$@"
fi

at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }
fail() { # WHY
    {
        echo "wasm.sh: there is no Rust for $target here: $1."
        echo "Either of these brings it: rustup target add $target; or, on Debian, sudo apt-get install ${packages[*]}"
    } >&2
    exit 1
}
has_packages() {
    local package
    for package in "${packages[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || return 1
    done
}
install() { # takes no package away: Debian's usual Rust may be there, which cannot be beside this one
    local root=()
    [ "$(id -u)" = 0 ] || root=(sudo)
    echo "Installing Debian's ${packages[*]} (200 MB) ..." >&2
    "${root[@]}" apt-get -q update >&2 &&
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends --no-remove "${packages[@]}" >&2
}
if ! has_packages; then
    command -v apt-get >/dev/null || fail "rustup has none to give, and there is no apt-get"
    install || fail "rustup has none to give, and apt-get could not install Debian's"
fi
version=$("$debian/rustc" --version | awk '{print $2}')
at_least "$version" "$least_rust" || fail "rustup has none to give, and Debian's is Rust $version, older than $least_rust"
# Building the standard library is not stable yet: Debian's Rust is told to allow it.
export RUSTC="$debian/rustc" RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19
exec "$debian/cargo" build --release -Zbuild-std=std,panic_abort --target "$target" "$@"
