#!/usr/bin/env bash
# bare_debian.sh FOLDER [TARGET...]: what README says, tried as a new user on a bare Debian: debootstrap's least system into FOLDER,
# README's own apt line, this machine's Rust toolchain (read-only), a clone of HEAD, then make with each TARGET ("run" if none is
# named). Needs root and debootstrap. SUITE (bookworm) and MIRROR choose the Debian. Prints times and what lies on the disk.
set -euo pipefail
self=$(realpath "$0")
bare=$(realpath -m "${1:?usage: bare_debian.sh FOLDER [TARGET...]}")
shift
cd "$(dirname "$self")/.."

[ "$(id -u)" = 0 ] || { echo "bare_debian.sh: needs root, to make a system of its own" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "bare_debian.sh: needs debootstrap" >&2; exit 2; }
# In a mount namespace of its own, every mount is gone when this ends, however it ends.
[ "${BARE_DEBIAN_INSIDE:-}" = "$$" ] || BARE_DEBIAN_INSIDE=$$ exec unshare --mount "$self" "$bare" "$@"

apt_line=$(sed -n 's/^sudo apt install //p' README.md)
[ -n "$apt_line" ] || { echo "bare_debian.sh: README.md has no line 'sudo apt install …'" >&2; exit 1; }
[ -e "$bare/etc/debian_version" ] ||
    debootstrap --variant=minbase "${SUITE:-bookworm}" "$bare" "${MIRROR:-http://deb.debian.org/debian}" >"$bare.log"

mkdir -p "$bare/opt/rust"
mount -t proc proc "$bare/proc"
mount --rbind /dev "$bare/dev"
mount --bind -o ro "$(rustc --print sysroot)" "$bare/opt/rust"
cp -L /etc/resolv.conf "$bare/etc/resolv.conf"

# inside USER COMMAND: how this machine reaches the registries goes along (pip's and cargo's variables, certificates), nothing else.
path=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mapfile -t reach < <(env | grep -E '^(PIP_(CERT|INDEX_URL|DEFAULT_TIMEOUT)|CARGO_BUILD_JOBS|CARGO_HTTP_.*|https?_proxy|no_proxy)=' || true)
inside() {
    local home=/root
    [ "$1" = root ] || home=/home/$1
    chroot "$bare" env -i "PATH=$path" "HOME=$home" LC_ALL=C.UTF-8 "${reach[@]}" \
        setpriv --reuid "$1" --regid "$1" --init-groups bash -euo pipefail -c "$2"
}
echo "== apt install $apt_line (without what is only recommended)"
inside root "apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $apt_line" \
    >>"$bare.log" 2>&1
certificates=(/usr/local/share/ca-certificates/*.crt)
if [ -e "${certificates[0]}" ]; then
    cp "${certificates[@]}" "$bare/usr/local/share/ca-certificates/"
    inside root update-ca-certificates >>"$bare.log" 2>&1
fi
inside root 'id visitor >/dev/null 2>&1 || useradd --create-home --shell /bin/bash visitor'

clone=$bare/home/visitor/cbam
if [ -e "$clone" ]; then # of an earlier run: what it built is kept
    git -c safe.directory='*' -C "$clone" fetch --quiet "$PWD" HEAD
    git -c safe.directory='*' -C "$clone" checkout --quiet --detach FETCH_HEAD
else
    git clone --quiet --no-hardlinks . "$clone"
fi
inside root 'chown -R visitor: /home/visitor'
echo "== Debian $(cat "$bare/etc/debian_version"), $(inside visitor 'rustc --version'), commit $(git rev-parse --short HEAD)"
for target in "${@:-run}"; do
    echo "== make $target"
    start=$SECONDS
    inside visitor "cd ~/cbam && make $target"
    echo "== make $target: $(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s"
done
inside visitor 'cd ~/cbam && du -sh libtorch target models ~/.cargo 2>/dev/null; git status --short; ls -l out.png 2>/dev/null || true'
