#!/usr/bin/env bash
# Make a virtual environment and install napari-pea into it, editable, with the given extras.
# Usage: setup-venv.sh FOLDER EXTRAS
set -euo pipefail

folder=$1
extras=$2

fail() {
    echo "$1" >&2
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Print the first Python that is new enough; PYTHON names one to prefer.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Debian keeps what `python -m venv` needs in a package of its own.
ensure_venv_module() {
    local package
    ! "$1" -c 'import ensurepip, venv' 2>/dev/null || return 0
    package=$("$1" -c 'import sys; print(f"python3.{sys.version_info.minor}-venv")')
    if command -v apt-get >/dev/null && ((EUID == 0)); then
        echo "Installing $package"
        apt-get -qq update || true
        DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes "$package" >/dev/null || true
    fi
    "$1" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$1 cannot make virtual environments: install its venv module (on Debian or Ubuntu: apt-get install $package)."
}

# An environment whose Python is gone or too old is made anew.
if ! is_new_enough "$folder/bin/python"; then
    python=$(find_python) ||
        fail "napari-pea needs Python 3.11 or newer and found none: install it, or name it with PYTHON=/path/to/python3."
    ensure_venv_module "$python"
    "$python" -m venv --clear "$folder"
fi

echo "Installing napari-pea and all it needs into $folder (some minutes the first time)"
# What is never imported need not be compiled.
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    --constraint constraints.txt --editable ".[$extras]"

# Tests run exported packages with it. What it needs is there; what it asks for does not fit together
# (constraints.txt).
if [[ ",$extras," == *,dev,* ]]; then
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --constraint constraints.txt bioimageio.core
fi
