#!/usr/bin/env bash
# uninstall.sh PREFIX: removes exactly the files that install.sh put there, and the folders that are empty then.
set -euo pipefail
prefix=$(realpath -m "${1:?usage: uninstall.sh PREFIX}")
list="$prefix/lib/cbam/installed.txt"
[ -f "$list" ] || { echo "uninstall.sh: nothing is installed below $prefix: $list is not there" >&2; exit 1; }
if grep -qE '^/|(^|/)\.\.(/|$)' "$list"; then
    echo "uninstall.sh: $list names files outside $prefix; nothing was removed" >&2
    exit 1
fi
mapfile -t files <"$list"
for file in "${files[@]}"; do
    [ -z "$file" ] || [ "$file" = lib/cbam/installed.txt ] || rm -f "$prefix/$file"
done
rm -f "$list"
for file in "${files[@]}"; do
    folder=$(dirname "$file")
    # rmdir takes empty folders alone; the prefix itself stays.
    while [ "$folder" != . ] && rmdir "$prefix/$folder" 2>/dev/null; do folder=$(dirname "$folder"); done
done
echo "removed ${#files[@]} files below $prefix"
