#!/usr/bin/env bash
# One script for every night: it goes as far as the answers allow, and waits for a person where they are missing.
#
#   bash sample_data/round.sh          plays three rounds on the sample data; oracle.csv plays the person
#
# For your own images copy it, change the settings below and leave ORACLE empty. Then put it into cron:
#   15 2 * * *  cd /data/birds && PATH="/opt/dfal/.venv/bin:$PATH" bash round.sh --quiet
# Run it as often as you like: a step whose output is there already says "up to date". Options that every command of
# dfal has (--quiet) may follow; the exit code is that of the command that could not do its work.
#
# Every round has its own numbered folder, and nothing in it changes once the next one has begun:
#   rounds/000/queries.csv                       a random first list: nothing is trained yet
#   rounds/001/labels.csv model.safetensors scores.parquet queries.csv preview.html
#   rounds/002/labels.csv ...                    the labels of round 1 and the answers to its list; and so on
set -euo pipefail
shopt -s inherit_errexit # a command that fails inside $(...) ends the script too, with its own exit code

here=$(cd "$(dirname "$0")" && pwd)
IMAGES=${IMAGES-$here/images}     # the image root
TEST=${TEST-$here/test.csv}       # image,label: measures the network, is never asked about; empty: there is none
ROUNDS=${ROUNDS-$here/rounds}     # where the numbered folders go
ORACLE=${ORACLE-$here/oracle.csv} # answers by itself; empty: a person fills in rounds/NNN/queries.csv
LABELS=${LABELS-}                 # labels to begin with, if there are any; empty: start from none
NEW_CLASSES=${NEW_CLASSES-${ORACLE:+yes}} # yes: an answer may name a class that no label has had yet

COUNT=${COUNT-40}                 # labels a round
STRATEGY=${STRATEGY-dfal}         # what to ask about: see `dfal select --help`
LAST=${LAST-${ORACLE:+3}}         # stop after training in this round; empty: go on
CACHE=${CACHE-}                   # a folder that keeps decoded images from night to night; empty: decode them anew
DFAL=${DFAL-dfal}                 # or: python3 -m dfal_cli

options=("$@")
measured=(${TEST:+--test "$TEST"})
outside=(${TEST:+--exclude "$TEST"})
cached=(${CACHE:+--cache "$CACHE"})

# What each strategy needs of `score`: as many certain margins, and twins, as it looks at, or further measures.
case $STRATEGY in
    dfal) needs=(--nearest "$COUNT" --twins "$COUNT") ;;
    dfal-without-twins) needs=(--nearest "$COUNT") ;;
    dfal-diverse) needs=(--nearest $((10 * COUNT)) --twins $((10 * COUNT)) --measure embedding) ;;
    dfal-diverse-without-twins) needs=(--nearest $((10 * COUNT)) --measure embedding) ;;
    bald | egl) needs=(--nearest 0 --measure "$STRATEGY") ;;
    core-set) needs=(--nearest 0 --measure embedding) ;;
    badge) needs=(--nearest 0 --measure embedding --measure probabilities) ;;
    *) needs=(--nearest 0) ;;
esac

folder() { printf '%s/%03d' "$ROUNDS" "$1"; }

# Read one number out of dfal's JSON: number JSON KEY [KEY ...]
number() {
    python3 -c 'import functools, json, sys; print(functools.reduce(dict.get, sys.argv[2:], json.loads(sys.argv[1])))' "$@"
}

# Train on a round's labels, from scratch, best of five by validation loss, as in the paper; say how good it is.
train() {
    local now json guesses=() before
    now=$(folder "$1") before=$(folder $(($1 - 1)))
    if [ -e "$before/queries.csv.pseudo.csv" ]; then guesses=(--pseudo-labels "$before/queries.csv.pseudo.csv"); fi
    json=$($DFAL train --images "$IMAGES" --labels "$now/labels.csv" "${guesses[@]}" "${measured[@]}" --restarts 5 \
        --seed "$1" --out "$now/model.safetensors" --json "${cached[@]}" "${options[@]}")
    echo "round $1: $(number "$json" counts labelled) labels${TEST:+, test accuracy $(number "$json" test accuracy)}"
}

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
        $DFAL select --images "$IMAGES" "${outside[@]}" --strategy random --count "$COUNT" \
            --out "$now/queries.csv" --preview "$now/preview.html" "${options[@]}"
    else
        trained=$(train "$round")
        if [ -n "$LAST" ] && [ "$round" -ge "$LAST" ]; then
            break
        fi
        $DFAL score --images "$IMAGES" --labels "$now/labels.csv" "${outside[@]}" "${needs[@]}" \
            --checkpoint "$now/model.safetensors" --out "$now/scores.parquet" "${cached[@]}" "${options[@]}"
        $DFAL select --scores "$now/scores.parquet" --labels "$now/labels.csv" --count "$COUNT" \
            --strategy "$STRATEGY" --round "$round" \
            --out "$now/queries.csv" --preview "$now/preview.html" "${options[@]}"
    fi

    if [ -n "$ORACLE" ]; then
        answer "$now/queries.csv"
    fi
    merge=(merge --queries "$now/queries.csv" --labels "$now/labels.csv" ${NEW_CLASSES:+--allow-new-classes})
    json=$($DFAL "${merge[@]}" --dry-run --json --quiet)
    left=$(number "$json" counts left)
    if [ "$left" -gt 0 ]; then
        echo "waiting for $left answers in $now/queries.csv (look at $now/preview.html)"
        exit 0
    fi
    $DFAL "${merge[@]}" --out "$next/labels.csv" "${options[@]}"
    round=$((round + 1))
done

echo "before: $(train 1)"
echo "after:  $trained (the last round: LAST=$LAST)"
