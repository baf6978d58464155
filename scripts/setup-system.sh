#!/usr/bin/env bash
# Install the system parts of a napari window that are missing. On a Debian-like machine, as
# root, they come from apt; elsewhere one sentence names them and the set-up goes on, because
# most of napari-pea works without a window.
set -euo pipefail

# Qt and OpenGL for macOS are part of the system and of the wheels.
[[ $(uname -s) == Linux ]] || exit 0

# Each shared library that Qt's X11 plugin or OpenGL loads, and its Debian package.
libraries='
    libEGL.so.1             libegl1
    libGL.so.1              libgl1
    libGLX_mesa.so.0        libglx-mesa0
    libX11-xcb.so.1         libx11-xcb1
    libdbus-1.so.3          libdbus-1-3
    libfontconfig.so.1      libfontconfig1
    libglib-2.0.so.0        libglib2.0-0
    libxcb-cursor.so.0      libxcb-cursor0
    libxcb-icccm.so.4       libxcb-icccm4
    libxcb-image.so.0       libxcb-image0
    libxcb-keysyms.so.1     libxcb-keysyms1
    libxcb-randr.so.0       libxcb-randr0
    libxcb-render-util.so.0 libxcb-render-util0
    libxcb-render.so.0      libxcb-render0
    libxcb-shape.so.0       libxcb-shape0
    libxcb-shm.so.0         libxcb-shm0
    libxcb-sync.so.1        libxcb-sync1
    libxcb-xfixes.so.0      libxcb-xfixes0
    libxcb-xkb.so.1         libxcb-xkb1
    libxkbcommon-x11.so.0   libxkbcommon-x11-0
'
# The virtual display, for a machine that has no real one.
programs='
    Xvfb     xvfb
    xvfb-run xvfb
    xauth    xauth
'

# Print the name and the package of everything that is missing.
find_missing() {
    local known name package
    # The cache lists what the loader finds; /sbin is not on every user's path.
    known=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p) || known=
    while read -r name package; do
        [[ -z $name || $known == *"$name "* ]] || echo "$name $package"
    done <<<"$libraries"
    while read -r name package; do
        [[ -z $name ]] || command -v "$name" >/dev/null || echo "$name $package"
    done <<<"$programs"
}

missing=$(find_missing)
[[ -n $missing ]] || exit 0

mapfile -t packages < <(awk '{ print $2 }' <<<"$missing" | sort -u)
if command -v apt-get >/dev/null && ((EUID == 0)); then
    echo "Installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # Old package lists may still do, so only the second command decides.
    apt-get -qq update || true
    apt-get -qq install --yes --no-install-recommends "${packages[@]}" >/dev/null || true
    missing=$(find_missing)
    [[ -n $missing ]] || exit 0
fi

names=$(awk '{ printf "%s%s", separator, $1; separator = ", " }' <<<"$missing")
echo "A napari window needs $names, which this machine lacks:" \
    "install the packages that hold them (on Debian or Ubuntu, as root:" \
    "apt-get install ${packages[*]})." >&2
