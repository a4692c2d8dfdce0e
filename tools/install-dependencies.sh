#!/usr/bin/env bash
# install-dependencies.sh [build|tests|aarch64]: installs what building tidegate (or building and testing
# it, the default, or also for 64-bit ARM) needs and is not there yet. On Debian and its kin through
# apt-get; quiet when nothing is missing.
set -eu

case ${1:-tests} in
build | tests | aarch64) purpose=${1:-tests} ;;
*)
    echo "usage: ${0##*/} [build|tests|aarch64]" >&2
    exit 2
    ;;
esac

# A package is looked for by what it is needed for, so that one installed in another way will do.
has_command() { command -v "$1" >/dev/null 2>&1; }
has_library() {
    local name
    for name; do pkg-config --exists "$name" 2>/dev/null && return; done
    return 1
}
compiles() { # language, text
    echo "$2" | gcc -x "$1" -fsyntax-only - 2>/dev/null
}

missing=()
need() { # package, probe...
    local package=$1
    shift
    "$@" || missing+=("$package")
}
need gcc has_command gcc
need libc6-dev compiles c '#include <stdio.h>'
need pkg-config has_command pkg-config
need meson has_command meson
need ninja-build has_command ninja
need libopenblas-dev has_library openblas
need libhdf5-dev has_library hdf5-serial hdf5
need libxxhash-dev has_library libxxhash
need libutf8proc-dev has_library libutf8proc
need libedit-dev has_library libedit
if [ "$purpose" != build ]; then
    need check has_library check
    need python3 has_command python3
    need hdf5-tools has_command h5dump
    need binutils has_command nm
    need g++ has_command g++
fi
if [ "$purpose" = aarch64 ]; then # and what aarch64-root.sh fetches
    need gcc-aarch64-linux-gnu has_command aarch64-linux-gnu-gcc
    need qemu-user has_command qemu-aarch64
fi
[ ${#missing[@]} -gt 0 ] || exit 0

give_up() {
    echo "${0##*/}: $1; please install: ${missing[*]}" >&2
    exit 1
}
as_root=()
has_command apt-get || give_up "missing packages, and no apt-get here (the names are Debian's)"
if [ "$(id -u)" != 0 ]; then
    has_command sudo || give_up "missing packages, and neither root nor sudo here"
    as_root=(sudo)
    [ -t 0 ] || as_root+=(-n) # nobody there to type a password
fi

echo "Installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
    "$@" >"$log" 2>&1 </dev/null && return
    cat "$log" >&2
    give_up "this failed: $*"
}
[ ${#as_root[@]} = 0 ] || "${as_root[@]}" true || give_up "missing packages, and sudo refused"
quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q
quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"
