#!/usr/bin/env bash
# web.sh FOLDER: builds the live page: index.html and engine.wasm for a server, and cbam-live.html, one file; says how large they are.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
built=${CARGO_TARGET_DIR:-target}

scripts/wasm.sh -p cbam-web
# With the programs' features, so that the core is not compiled once more.
"${CARGO:-cargo}" build --quiet --release -p cbam-core -p cbam-lite0 -p cbam-resample -p cbam-cli -p cbam-web --example live_page
"$built/release/examples/live_page" \
    "$built/wasm/wasm32-unknown-unknown/release/cbam_web.wasm" assets/images/chelsea.jpg "$folder"
sizes() { # FILES...: bytes, and bytes of what gzip makes of them
    local file
    for file in "$@"; do
        printf '%10d %10d  %s\n' "$(wc -c < "$file")" "$(gzip -9 -c "$file" | wc -c)" "$file"
    done
}
echo "     bytes    gzipped"
sizes "$folder/index.html" "$folder/engine.wasm" "$folder/cbam-live.html"
