#!/usr/bin/env bash
# Runs the core's tests, all or those that the arguments choose, with AddressSanitizer watching every read and write of memory. It takes
# a nightly compiler if there is one, else the stable one as if it were, and a folder of its own below target/.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=("${CARGO:-cargo}")
if "${cargo[0]}" +nightly --version >/dev/null 2>&1; then
    cargo+=(+nightly)
else
    export RUSTC_BOOTSTRAP=1
fi
# Assertions of the compiler's too. What a test leaves behind when it panics on purpose is no finding.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan" RUSTFLAGS="-Zsanitizer=address -Cdebug-assertions"
# The kernels take long to be instrumented where everything is inlined.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_DEBUG=line-tables-only
export ASAN_OPTIONS="detect_leaks=0:quarantine_size_mb=64"
exec "${cargo[@]}" test --release --target "$(rustc -vV | sed -n 's/^host: //p')" -p cbam-core "$@"
