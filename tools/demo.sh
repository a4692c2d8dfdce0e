#!/usr/bin/env bash
# demo.sh: from a fresh clone to a trained translator, in one step. Installs what is missing, builds,
# learns English to French from datasets/english-french (about two minutes on two cores), and shows
# what was learnt. Options of 'tidegate train translate' may follow, for example --epochs 1.
set -euo pipefail
cd "$(dirname -- "$0")/.."
export LC_ALL=C.UTF-8

case ${1:-} in
-h | --help)
    sed -n '2,4s/^# \{0,1\}//p' tools/demo.sh
    exit 0
    ;;
esac

tools/install-dependencies.sh build

echo "Building"
[ -e build/build.ninja ] || meson setup build >/dev/null
log=$(mktemp)
trap 'rm -f "$log"' EXIT
ninja -C build tools/tidegate/tidegate >"$log" || {
    cat "$log"
    exit 1
}
tidegate=build/tools/tidegate/tidegate data=datasets/english-french run=build/demo

echo "Learning English to French: watch the validation loss fall"
"$tidegate" train translate --train $data/train.tsv --valid $data/valid.tsv --out $run --force "$@" || {
    code=$?
    [ ! -e $run/last.h5 ] || echo "To go on: $tidegate resume $run" >&2
    exit $code
}

echo
echo "The first ten sentences of $data/test.tsv, which it has never seen (# where the two differ):"
echo
paste <(head -n 10 $data/test.tsv) <(head -n 10 $data/test.tsv | cut -f 1 | "$tidegate" translate $run) |
    while IFS=$'\t' read -r source expected got; do
        [ "$got" = "$expected" ] && mark='  ' || mark='# '
        printf '  source    %s\n  expected  %s\n%sgot       %s\n\n' "$source" "$expected" "$mark" "$got"
    done

echo "All of the test set (exact_match: the share that is word for word as expected):"
"$tidegate" evaluate $run --data $data/test.tsv

cat <<TEXT

The model is $run/best.h5. What next:
  $tidegate translate $run
      type sentences like those above, one a line
  $tidegate resume $run --set epochs=30
      learn on
  $tidegate inspect $run
      see what it holds; h5dump reads it, too
  $tidegate train translate --train YOURS.tsv --out DIR
      your own text: source<TAB>target, one pair a line
TEXT
