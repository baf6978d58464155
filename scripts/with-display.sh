#!/usr/bin/env bash
# Run a command on the real display, or on a virtual one where there is none.
# Usage: with-display.sh COMMAND [ARGUMENT...]
set -euo pipefail

if [[ -n ${DISPLAY:-} || -n ${WAYLAND_DISPLAY:-} || $(uname -s) != Linux ]]; then
    exec "$@"
elif command -v xvfb-run >/dev/null; then
    exec xvfb-run --auto-servernum --server-args="-screen 0 1920x1080x24" "$@"
else
    echo "There is no display and no xvfb-run, so windows cannot open: install Xvfb or set DISPLAY." >&2
    export QT_QPA_PLATFORM=offscreen
    exec "$@"
fi
