#!/usr/bin/env bash
# One script for every night: it goes as far as the answers allow, and waits for a person where they are missing.
#
#   bash sample_data/round.sh          plays three rounds on the sample data; oracle.csv plays the person
#
# For your own images copy it, set the five paths below and leave ORACLE empty. Then put it into cron:
#   15 2 * * *  cd /data/birds && bash round.sh --quiet 2>&1
# Run it as often as you like: a step whose output is there already says "up to date" and ends at once.
#
# Every round has its own numbered folder, and nothing in it changes once the next one has begun:
#   rounds/000/queries.csv                       a random first list: nothing is trained yet
#   rounds/001/labels.csv model.safetensors scores.parquet queries.csv preview.html
#   rounds/002/labels.csv ...                    the labels of round 1 and the answers to its list; and so on
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
IMAGES=${IMAGES:-$here/images}     # the image root
TEST=${TEST:-$here/test.csv}       # image,label: measures the network, is never asked about or trained on
ROUNDS=${ROUNDS:-$here/rounds}     # where the numbered folders go
ORACLE=${ORACLE-$here/oracle.csv}  # answers by itself; empty: a person fills in rounds/NNN/queries.csv
LABELS=${LABELS-}                  # labels to begin with, if there are any; empty: start from none

COUNT=${COUNT:-40}                 # labels a round
LAST=${LAST:-3}                    # stop after training in this round
DFAL=${DFAL:-dfal}                 # or: python3 -m dfal_cli

folder() { printf '%s/%03d' "$ROUNDS" "$1"; }

# Read one number out of dfal's JSON: number KEY [KEY ...] < json
number() { python3 -c 'import functools, json, sys; print(functools.reduce(dict.get, sys.argv[1:], json.load(sys.stdin)))' "$@"; }

# The oracle writes its labels into a query list, as a person would in a spreadsheet.
answer() {
    python3 - "$1" "$ORACLE" <<'PYTHON'
import csv, sys
path, oracle = sys.argv[1:]
answers = {row["image"]: row["label"] for row in csv.DictReader(open(oracle, newline="", encoding="utf-8"))}
rows = list(csv.DictReader(open(path, newline="", encoding="utf-8")))
with open(path, "w", newline="", encoding="utf-8") as file:
    writer = csv.DictWriter(file, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"label": row["label"] or answers.get(row["image"], "")} for row in rows)
PYTHON
}

# Train on a round's labels, from scratch, best of five by validation loss, as in the paper; print the test accuracy.
train() {
    local now; now=$(folder "$1")
    $DFAL train --images "$IMAGES" --labels "$now/labels.csv" --test "$TEST" --restarts 5 --seed "$1" \
        --out "$now/model.safetensors" --json "${options[@]}" | number test accuracy
}

options=("$@")

if [ -n "$LABELS" ] && [ ! -e "$(folder 1)/labels.csv" ]; then
    $DFAL merge --queries "$LABELS" --labels "$(folder 1)/labels.csv" "${options[@]}"
fi

# Begin with the newest round: it may have been interrupted anywhere, or its list may have been answered today.
round=0
while [ -e "$(folder $((round + 1)))/labels.csv" ]; do round=$((round + 1)); done

while true; do
    now=$(folder "$round")
    next=$(folder $((round + 1)))
    if [ "$round" -eq 0 ]; then
        $DFAL select --images "$IMAGES" --exclude "$TEST" --strategy random --count "$COUNT" \
            --out "$now/queries.csv" --preview "$now/preview.html" "${options[@]}"
    else
        accuracy=$(train "$round")
        if [ "$round" -ge "$LAST" ]; then
            break
        fi
        $DFAL score --images "$IMAGES" --labels "$now/labels.csv" --exclude "$TEST" \
            --checkpoint "$now/model.safetensors" --twins "$COUNT" --out "$now/scores.parquet" "${options[@]}"
        $DFAL select --scores "$now/scores.parquet" --count "$COUNT" \
            --out "$now/queries.csv" --preview "$now/preview.html" "${options[@]}"
    fi

    if [ -n "$ORACLE" ]; then
        answer "$now/queries.csv"
    fi
    # A person's new class is more often a slip than a discovery; the oracle makes no slips.
    merge=(merge --queries "$now/queries.csv" --labels "$now/labels.csv" ${ORACLE:+--allow-new-classes} "${options[@]}")
    left=$($DFAL "${merge[@]}" --dry-run --json | number counts left)
    if [ "$left" -gt 0 ]; then
        echo "waiting for $left answers in $now/queries.csv (look at $now/preview.html)"
        exit 0
    fi
    $DFAL "${merge[@]}" --out "$next/labels.csv"
    round=$((round + 1))
done

echo "before, round 1: test accuracy $(train 1)"
echo "after,  round $round: test accuracy $accuracy"
