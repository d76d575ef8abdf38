#!/usr/bin/env bash
# install.sh PREFIX [FOLDER]: the programs to PREFIX/bin, their man pages and completions (bash, zsh, fish) to PREFIX/share, and the
# libraries that they are linked with to PREFIX/lib/cbam, where their RUNPATH ($ORIGIN/../lib/cbam) finds them wherever PREFIX is and
# whatever becomes of the clone. PREFIX/lib/cbam/installed.txt lists every file, for uninstall.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=$(realpath -m "${1:?usage: install.sh PREFIX [FOLDER OF THE PROGRAMS]}")
built=${2:-target/release}
programs=(cbam-run cbam-train cbam-eval cbam-weights)

# Every libtorch library of this build: those that lie beside libtorch_cpu.so.
torch=$(ldd "$built/cbam-run" | awk '/libtorch_cpu\.so/ {print $3}')
[ -e "$torch" ] || { echo "install.sh: $built/cbam-run does not find libtorch_cpu.so; run 'make build' first" >&2; exit 1; }

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
sources=() files=() # of each file, where it is now, and where it goes below PREFIX
put() { # SOURCE FILE
    sources+=("$1")
    files+=("$2")
}
for program in "${programs[@]}"; do
    run="$built/$program"
    put "$run" "bin/$program"
    # page NAME FILE OPTIONS...: what the program prints, as a file. The program is worth installing without it.
    page() {
        local name=$1 file=$2
        shift 2
        if "$run" "$@" >"$made/$name" 2>/dev/null && [ -s "$made/$name" ]; then
            put "$made/$name" "share/$file"
        else
            echo "install.sh: '$program $*' gives nothing: share/$file is left out" >&2
        fi
    }
    page "$program.bash" "bash-completion/completions/$program" --completions bash
    page "_$program" "zsh/site-functions/_$program" --completions zsh
    page "$program.fish" "fish/vendor_completions.d/$program.fish" --completions fish
    page "$program.1" "man/man1/$program.1" --man-page
done
while read -r library; do
    put "$library" "lib/cbam/$(basename "$library")"
done < <(ldd "$built/cbam-run" | awk -v lib="$(dirname "$torch")/" 'index($3, lib) == 1 {print $3}')
# The CUDA part, if it was fetched: opened at run time, never linked.
for library in libtorch-cuda/lib/*; do
    [ ! -f "$library" ] || put "$library" "lib/cbam-cuda/$(basename "$library")"
done

# The list first: what an interrupted installation leaves can be uninstalled too. What an older one had and this one has not goes.
list="$prefix/lib/cbam/installed.txt"
mkdir -p "$prefix/lib/cbam"
touch "$list"
printf '%s\n' "${files[@]}" lib/cbam/installed.txt | sort >"$made/installed.txt"
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
while IFS= read -r file; do
    rm -f "${prefix:?}/$file"
done <"$made/gone.txt"
mv -f "$made/installed.txt" "$list"

echo "installed ${programs[*]} in $prefix/bin, with man pages and completions; their libraries are in $prefix/lib/cbam"
echo "make uninstall PREFIX=$prefix takes all of it away again"
case ":$PATH:" in *":$prefix/bin:"*) ;; *) echo "add $prefix/bin to your PATH" ;; esac
