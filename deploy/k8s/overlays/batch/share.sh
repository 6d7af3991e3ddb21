#!/bin/sh
# Encodes or decodes one share of a folder: every SHARES-th file, in order of names, from number JOB_COMPLETION_INDEX on.
# What is there already is left alone, so a share that was interrupted goes on where it stopped: an output file has its
# name only when it is whole. How to encode or decode, the environment says (CMVC_ENCODE_BITRATE, CMVC_DECODE_PROFILE ...).
set -eu

case $DIRECTION in
  encode) ending=.cmvc ;;
  decode) ending=.mp4 ;;
  *) echo "DIRECTION is '$DIRECTION'; encode or decode" >&2; exit 2 ;;
esac

child=
trap '[ -z "$child" ] || kill -TERM "$child"; wait; exit 143' TERM INT

case $IN$OUT in
  *://*) exec cmvc "$DIRECTION" "$IN" -o "$OUT" --share "$JOB_COMPLETION_INDEX/$SHARES" ;;  # object storage
esac

[ -d "$IN" ] || { echo "there is no folder $IN; put the files there" >&2; exit 2; }
mkdir -p "$OUT"
number=0
failed=0
for file in "$IN"/*; do
  [ -f "$file" ] || continue
  share=$((number % SHARES))
  number=$((number + 1))
  [ "$share" -eq "$JOB_COMPLETION_INDEX" ] || continue
  name=${file##*/}
  [ "$DIRECTION" = encode ] || name=${name%.cmvc}
  [ -e "$OUT/$name$ending" ] && continue
  cmvc "$DIRECTION" "$file" "$OUT/$name$ending" &
  child=$!
  # A file that cannot be done must not keep the others from it.
  if wait "$child"; then echo "$name: done"; else echo "$name: failed" >&2; failed=$((failed + 1)); fi
  child=
done
echo "share $JOB_COMPLETION_INDEX of $SHARES: $failed failed"
[ "$failed" -eq 0 ]
