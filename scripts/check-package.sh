#!/usr/bin/env bash
# Build the package and look at it as a stranger would: what is inside, whether an empty environment
# takes it, and whether the demo runs from there. The files stay in dist/.
# Usage: check-package.sh PYTHON
set -euo pipefail

python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
most_megabytes=45
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "$1" >&2
    exit 1
}

rm -rf dist
"$python" -m build --outdir dist >"$work/build.log" 2>&1 || {
    cat "$work/build.log" >&2
    fail "The package cannot be built."
}
"$python" -m twine check --strict dist/*

wheel=$(echo dist/*.whl)
size=$(wc -c <"$wheel")
echo "$wheel: $((size / 1000)) kB"
((size <= most_megabytes * 1000000)) || fail "The wheel is larger than $most_megabytes MB."

# Everything that git knows below src/ belongs into the wheel.
"$python" -m zipfile --list "$wheel" | awk 'NR > 1 { print $1 }' | sort >"$work/inside"
git ls-files src/napari_pea | sed 's,^src/,,' | sort >"$work/wanted"
missing=$(comm -13 "$work/inside" "$work/wanted")
[[ -z $missing ]] || fail "The wheel lacks: $missing"

"$python" -m venv "$work/venv"
bin=$work/venv/bin
"$bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint constraints.txt "$wheel"

# Away from the sources, and without what is set for them.
constraints=$PWD/constraints.txt
cd "$work"
unset PYTHONPATH
"$bin/napari-pea" --version
"$bin/napari-pea" models list
"$bin/napari-pea" demo --device cpu --output demo
[[ -s demo/nuclei_labels.tif ]] || fail "The demo has written no labels."

# napari finds the plugin by its manifest.
"$bin/python" - <<'PYTHON'
from npe2 import PluginManifest

manifest = PluginManifest.from_distribution("napari-pea")
assert manifest.name == "napari-pea"
print(f"{len(manifest.contributions.widgets)} docks are known to napari")
PYTHON
