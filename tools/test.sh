#!/usr/bin/env bash
# test.sh [--slow] [--sanitize] [--aarch64]: installs what is missing, builds, and runs the tests.
#   --slow      also the long ones: training on the shipped data sets, endurance
#   --sanitize  also the fast ones under the address and undefined-behaviour sanitizers
#   --aarch64   also the fast ones built for 64-bit ARM, in QEMU: takes forty minutes
# Exits with 0 only if everything passed. The last line says how many did.
set -euo pipefail
cd "$(dirname -- "$0")/.."

slow=no sanitize=no aarch64=no
for argument; do
    case $argument in
    --slow) slow=yes ;;
    --sanitize) sanitize=yes ;;
    --aarch64) aarch64=yes ;;
    -h | --help)
        sed -n '2,6s/^# \{0,1\}//p' tools/test.sh
        exit 0
        ;;
    *)
        echo "test.sh: unknown argument '$argument'; try --help" >&2
        exit 2
        ;;
    esac
done

if [ "$aarch64" = yes ]; then
    tools/install-dependencies.sh aarch64
    tools/aarch64-root.sh build-aarch64-root
else
    tools/install-dependencies.sh tests
fi

setup=() # options that a folder keeps from the first time
build() { # folder, options...: configured with the tests whatever it was configured with before
    local folder=$1
    shift
    if [ -e "$folder/build.ninja" ]; then
        meson configure "$folder" -Dtests=enabled "$@"
    else
        meson setup "$folder" "${setup[@]}" -Dtests=enabled "$@"
    fi
    ninja -C "$folder"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0 status=0
run() { # folder, options of meson test...
    meson test -C "$1" --no-rebuild --print-errorlogs "${@:2}" 2>&1 | tee "$log" || status=1
    passed=$((passed + $(counted Ok)))
    failed=$((failed + $(counted Fail) + $(counted Timeout) + $(counted 'Unexpected Pass')))
    skipped=$((skipped + $(counted Skipped)))
}
counted() { sed -n "s/^$1: *\([0-9]*\).*/\1/p" "$log" | tail -n 1 | grep . || echo 0; }

build build
run build --suite fast
if [ "$slow" = yes ]; then
    run build --suite slow --num-processes 1
fi
if [ "$sanitize" = yes ]; then
    # the style checks look at the shipped libraries and the sources: once is enough
    build build-sanitize -Db_sanitize=address,undefined -Db_lundef=false -Ddebug_arena=true
    CK_TIMEOUT_MULTIPLIER=5 run build-sanitize --suite fast --no-suite style --timeout-multiplier 5
fi
if [ "$aarch64" = yes ]; then
    setup=(--cross-file build-aarch64-root/root.ini --cross-file tools/aarch64.ini)
    build build-aarch64
    CK_TIMEOUT_MULTIPLIER=10 run build-aarch64 --suite fast --timeout-multiplier 10
fi

[ "$passed" -gt 0 ] || status=1
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
