#!/usr/bin/env bash
# web-tools.sh: brings what the tests of the interactive page need: Node's packages in tests/web, and Chromium, Debian's if there is none.
# CHROMIUM may name another one.
set -euo pipefail
cd "$(dirname "$0")/../tests/web"

fail() { # WHY
    echo "web-tools.sh: $1" >&2
    exit 1
}
command -v npm >/dev/null || fail "the tests of the page need Node.js 20 or later, with npm"
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --silent
    touch node_modules/.package-lock.json
fi
[ ! -x "${CHROMIUM:-/usr/bin/chromium}" ] || exit 0
[ -z "${CHROMIUM:-}" ] || fail "$CHROMIUM is no program"
command -v apt-get >/dev/null || fail "there is no /usr/bin/chromium: name yours, CHROMIUM=/path/to/chromium"
root=()
[ "$(id -u)" = 0 ] || root=(sudo)
echo "Installing Debian's chromium (400 MB) ..." >&2
"${root[@]}" apt-get -q update >&2
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium fonts-dejavu-core >&2
