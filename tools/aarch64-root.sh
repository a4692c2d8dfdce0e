#!/usr/bin/env bash
# aarch64-root.sh FOLDER: fills FOLDER with the libraries that a build for 64-bit ARM needs, unpacked from
# the packages of the Debian that runs here. They stay there: neither root's rights nor dpkg's records are
# touched. Writes FOLDER/root.ini, which tells Meson where it is. Quiet when that has been done before.
set -eu

[ $# = 1 ] || {
    echo "usage: ${0##*/} FOLDER" >&2
    exit 2
}
mkdir -p -- "$1"
root=$(cd -- "$1" && pwd)
packages='libc6-dev libopenblas-dev libhdf5-dev libxxhash-dev libutf8proc-dev check'
libraries=usr/lib/aarch64-linux-gnu

says="# $packages
[constants]
root = '$root'"
[ "$(cat "$root/root.ini" 2>/dev/null)" != "$says" ] || exit 0

log=$(mktemp)
trap 'rm -rf "$log" "$root/apt"' EXIT
quietly() {
    "$@" >"$log" 2>&1 </dev/null && return
    cat "$log" >&2
    echo "${0##*/}: this failed: $*" >&2
    exit 1
}
command -v apt-get >/dev/null || {
    echo "${0##*/}: no apt-get here; please put a root with $packages for aarch64 into $root, and these lines" \
        "into $root/root.ini:" "$says" >&2
    exit 1
}

# apt-get as on a machine of that kind with nothing installed
echo "Fetching $packages for aarch64 into $root"
rm -rf -- "${root:?}"/*
mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial"
: >"$root/apt/status"
for_arm() {
    quietly apt-get -q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State="$root/apt" \
        -o Dir::State::status="$root/apt/status" -o Dir::Cache="$root/apt" "$@"
}
for_arm update
# shellcheck disable=SC2086 # several packages
for_arm install -y --no-install-recommends --download-only $packages
for package in "$root"/apt/archives/*.deb; do
    quietly dpkg-deb --extract "$package" "$root"
done
find "$root" -type l -lname '/*' | while read -r link; do
    ln -sfn "$(realpath -ms --relative-to="${link%/*}" "$root$(readlink "$link")")" "$link"
done
# update-alternatives would make these
for file in libopenblas.so libopenblas.so.0 pkgconfig/openblas.pc; do
    ln -sfr "$root/$libraries/openblas-pthread/$file" "$root/$libraries/$file"
done
echo "$says" >"$root/root.ini"
