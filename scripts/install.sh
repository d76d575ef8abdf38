#!/usr/bin/env bash
# install.sh PREFIX [FOLDER [light]]: the programs to PREFIX/bin, their man pages and completions (bash, zsh, fish) to PREFIX/share, and the
# libraries that they are linked with to PREFIX/lib/cbam, where their RUNPATH ($ORIGIN/../lib/cbam) finds them wherever PREFIX is and
# whatever becomes of the clone. PREFIX/lib/cbam/installed.txt lists every file, for uninstall.sh. With "light", the light build: one
# file, PREFIX/bin/cbam, and links to it by the programs' names; it needs no libraries.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=$(realpath -m "${1:?usage: install.sh PREFIX [FOLDER OF THE PROGRAMS]}")
built=${2:-target/release}
links=()
if [ "${3:-}" = light ]; then
    programs=(cbam)
    links=(cbam-run cbam-eval cbam-weights cbam-view)
    torch=
else
    programs=(cbam-run cbam-train cbam-eval cbam-weights cbam-view)
    # Every libtorch library of this build: those that lie beside libtorch_cpu.so.
    torch=$(ldd "$built/cbam-run" | awk '/libtorch_cpu\.so/ {print $3}')
    [ -e "$torch" ] || { echo "install.sh: $built/cbam-run does not find libtorch_cpu.so; run 'make build' first" >&2; exit 1; }
fi

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
sources=() files=() # of each file, where it is now, and where it goes below PREFIX
put() { # SOURCE FILE
    sources+=("$1")
    files+=("$2")
}
# page NAME FILE COMMAND...: what it prints, as a file. The program is worth installing without it.
page() {
    local name=$1 file=$2
    shift 2
    if "$@" >"$made/$name" 2>/dev/null && [ -s "$made/$name" ]; then
        put "$made/$name" "share/$file"
    else
        echo "install.sh: '$*' gives nothing: share/$file is left out" >&2
    fi
}
pages() { # PROGRAM COMMAND...
    local program=$1
    shift
    page "$program.bash" "bash-completion/completions/$program" "$@" --completions bash
    page "_$program" "zsh/site-functions/_$program" "$@" --completions zsh
    page "$program.fish" "fish/vendor_completions.d/$program.fish" "$@" --completions fish
    page "$program.1" "man/man1/$program.1" "$@" --man-page
}
for program in "${programs[@]}"; do
    put "$built/$program" "bin/$program"
    pages "$program" "$built/$program"
done
for program in "${links[@]}"; do
    pages "$program" "$built/cbam" "${program#cbam-}"
done
while [ -n "$torch" ] && read -r library; do
    put "$library" "lib/cbam/$(basename "$library")"
done < <([ -z "$torch" ] || ldd "$built/cbam-run" | awk -v lib="$(dirname "$torch")/" 'index($3, lib) == 1 {print $3}')
# The CUDA part, if it was fetched: opened at run time, never linked.
for library in libtorch-cuda/lib/*; do
    [ -z "$torch" ] || [ ! -f "$library" ] || put "$library" "lib/cbam-cuda/$(basename "$library")"
done

# The list first: what an interrupted installation leaves can be uninstalled too. What an older one had and this one has not goes.
list="$prefix/lib/cbam/installed.txt"
mkdir -p "$prefix/lib/cbam"
touch "$list"
printf '%s\n' "${files[@]}" "${links[@]/#/bin/}" lib/cbam/installed.txt | sort >"$made/installed.txt"
comm -23 <(sort -u "$list") "$made/installed.txt" >"$made/gone.txt"
sort -u "$made/installed.txt" "$list" >"$list.partial"
mv -f "$list.partial" "$list"
for index in "${!files[@]}"; do
    file="$prefix/${files[index]}" mode=644
    [[ ${files[index]} != bin/* ]] || mode=755
    mkdir -p "$(dirname "$file")"
    install -m "$mode" "${sources[index]}" "$(dirname "$file")/.$(basename "$file").partial"
    mv -f "$(dirname "$file")/.$(basename "$file").partial" "$file"
done
for program in "${links[@]}"; do
    ln -sf cbam "$prefix/bin/.$program.partial"
    mv -f "$prefix/bin/.$program.partial" "$prefix/bin/$program"
done
while IFS= read -r file; do
    rm -f "${prefix:?}/$file"
done <"$made/gone.txt"
mv -f "$made/installed.txt" "$list"

libraries=${torch:+"; their libraries are in $prefix/lib/cbam"}
echo "installed ${programs[*]} ${links[*]} in $prefix/bin, with man pages and completions$libraries"
echo "make uninstall PREFIX=$prefix takes all of it away again"
case ":$PATH:" in *":$prefix/bin:"*) ;; *) echo "add $prefix/bin to your PATH" ;; esac
