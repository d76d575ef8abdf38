#!/usr/bin/env bash
# ffmpeg.sh: makes sure that ffmpeg is there, which reads and writes films: Debian's, if there is none.
set -euo pipefail
for program in ffmpeg ffprobe; do
    command -v "$program" >/dev/null || missing=1
done
[ -n "${missing:-}" ] || exit 0
command -v apt-get >/dev/null || {
    echo "ffmpeg.sh: ffmpeg and ffprobe are not in PATH, and there is no apt-get to bring them: https://ffmpeg.org/download.html" >&2
    exit 1
}
root=()
[ "$(id -u)" = 0 ] || root=(sudo)
echo "Installing Debian's ffmpeg ..." >&2
"${root[@]}" apt-get -q update >&2
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends ffmpeg >&2
