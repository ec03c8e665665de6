#!/usr/bin/env bash
# One script for every night: it goes as far as the answers allow, and waits for a person where they are missing.
#
#   bash sample_data/round.sh          plays three rounds on the sample data; oracle.csv plays the person
#
# For your own images copy it, change the settings below and leave ORACLE empty. Then put it into cron:
#   15 2 * * *  cd /data/birds && PATH="/opt/dfal/.venv/bin:$PATH" bash round.sh --quiet
# Run it as often as you like. Options that every command of dfal has (--quiet) may follow; the exit code is that of the
# command that could not do its work.
#
# Every round has its own numbered folder, and nothing in it changes once the next one has begun:
#   rounds/000/queries.csv                       a random first list: nothing is trained yet
#   rounds/001/labels.csv model.safetensors train.json scores.parquet queries.csv preview.html
#   rounds/002/labels.csv ...                    the labels of round 1 and the answers to its list; and so on
# Change settings whenever you like. Once a round has its list, nothing of it is made again: they count from the next
# round on. A night that ended before that is done again with the new ones.
set -euo pipefail
shopt -s inherit_errexit # a command that fails inside $(...) ends the script too, with its own exit code

here=$(cd "$(dirname "$0")" && pwd)
IMAGES=${IMAGES-$here/images}     # the image root
TEST=${TEST-$here/test.csv}       # image,label: measures the network, is never asked about; empty: there is none
ROUNDS=${ROUNDS-$here/rounds}     # where the numbered folders go
ORACLE=${ORACLE-$here/oracle.csv} # answers by itself; empty: a person fills in rounds/NNN/queries.csv
LABELS=${LABELS-}                 # labels to begin with, if there are any; empty: start from none
NEW_CLASSES=${NEW_CLASSES-${ORACLE:+yes}} # yes: an answer may name a class that no label has had yet
CLASSES=${CLASSES-}               # classes that answers may name in any case, a,b,c; empty: those of the labels

ARCH=${ARCH-}                     # the network; empty: dfal chooses
IMAGE_SIZE=${IMAGE_SIZE-}         # side of its input in pixels; empty: as suits the images
EPOCHS=${EPOCHS-}                 # maximum number of epochs; empty: 100
RESTARTS=${RESTARTS-5}            # number of trainings; the best is kept, as in the paper
CONFIG=${CONFIG-}                 # any other options: a dfal.yaml with a section per command; empty: none

COUNT=${COUNT-40}                 # labels a round
STRATEGY=${STRATEGY-dfal}         # what to ask about: see `dfal select --help`
LAST=${LAST-${ORACLE:+3}}         # stop after training in this round; empty: go on
CACHE=${CACHE-}                   # a folder that keeps decoded images from night to night; empty: decode them anew
DFAL=${DFAL-dfal}                 # or: python3 -m dfal_cli

configured=(${CONFIG:+--config "$CONFIG"})
options=("${configured[@]}" "$@")
network=(${ARCH:+--arch "$ARCH"})
training=(${IMAGE_SIZE:+--image-size "$IMAGE_SIZE"} ${EPOCHS:+--epochs "$EPOCHS"} ${RESTARTS:+--restarts "$RESTARTS"})
measured=(${TEST:+--test "$TEST"})
outside=(${TEST:+--exclude "$TEST"})
spelt=(${CLASSES:+--class-names "$CLASSES"} ${NEW_CLASSES:+--allow-new-classes})
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

# Add up numbers of dfal's JSON, which comes on stdin: number KEY[.KEY] ...
number() {
    python3 -c '
import functools, json, sys
told = json.load(sys.stdin)
print(sum(functools.reduce(dict.__getitem__, key.split("."), told) for key in sys.argv[1:]))' "$@"
}

# Run a command that writes a file. Nothing has been asked in this round yet, so what stands there and was made in another
# way (exit code 2: other settings, images or labels since an unfinished night) is made anew.
produce() {
    local file=$1 code=0
    shift
    "$@" "${options[@]}" || code=$?
    if [ "$code" -eq 2 ] && [ -e "$file" ]; then
        echo "$file: making it anew" >&2
        "$@" "${options[@]}" --force
    else
        return "$code"
    fi
}

# Run a command that looks for images to ask about. If none are left, the work is done: the command fails then, and its
# JSON counts a pool of 0.
asking() {
    local json code=0
    json=$("$@" --json) || code=$?
    if [ "$code" -eq 3 ] && [ -n "$json" ] && [ "$(number counts.pool <<<"$json")" -eq 0 ]; then
        echo "nothing is left to ask about: all images are labelled or excluded"
        exit 0
    fi
    return "$code"
}

# Train on a round's labels, from scratch.
train() {
    local now guesses
    now=$(folder "$1") guesses=$(folder $(($1 - 1)))/queries.csv.pseudo.csv
    if [ ! -e "$guesses" ]; then guesses=; fi
    produce "$now/model.safetensors" $DFAL train --images "$IMAGES" --labels "$now/labels.csv" "${measured[@]}" \
        ${guesses:+--pseudo-labels "$guesses"} "${network[@]}" "${training[@]}" "${cached[@]}" \
        --seed "$1" --out "$now/model.safetensors" --json >"$now/train.json.new"
    mv "$now/train.json.new" "$now/train.json"
}

# Score the pool, and ask about the best of it. The list comes last: a round that has it is complete.
ask() {
    local now
    now=$(folder "$1")
    asking produce "$now/scores.parquet" $DFAL score --images "$IMAGES" --labels "$now/labels.csv" "${outside[@]}" "${needs[@]}" \
        "${network[@]}" "${cached[@]}" --checkpoint "$now/model.safetensors" --out "$now/scores.parquet"
    asking $DFAL select --scores "$now/scores.parquet" --labels "$now/labels.csv" --count "$COUNT" --strategy "$STRATEGY" \
        --round "$1" --out "$now/queries.csv" --preview "$now/preview.html" "${options[@]}"
}

# A round in one line: labels so far, how good the network is, how much better than before, and what it confuses.
report() {
    if [ ! -e "$(folder "$1")/train.json" ]; then return; fi
    python3 - "$1" "$(folder "$1")/train.json" "$(folder $(($1 - 1)))/train.json" <<'PYTHON'
import json, os, sys
number, *files = sys.argv[1:]
now, before = (json.load(open(file, encoding="utf-8")) if os.path.exists(file) else {} for file in files)
line = f"round {number}: {now['counts']['labelled']} labels"
for kind in [kind for kind in ("test", "validation") if kind in now][:1]:
    measured, accuracy = now[kind], 100 * now[kind]["accuracy"]
    low, high = (100 * end for end in measured["interval"])
    line += f", {kind} accuracy {accuracy:.1f} % ({low:.0f} to {high:.0f}, {measured['examples']} images)"
    if kind in before:
        line += f", {accuracy - 100 * before[kind]['accuracy']:+.1f} points since round {int(number) - 1}"
    confused = [f"{true} taken for {taken} ({times})" for true, taken, times in measured["confused"][:3]]
    line += f"; confused most: {', '.join(confused)}" if confused else ""
sys.stdout.reconfigure(errors="backslashreplace")  # a class may be called anything, and a log take little
print("".join(sign if sign.isprintable() else "?" for sign in line))
PYTHON
}

# The oracle writes its labels into a query list, as a person would in a spreadsheet.
answer() {
    python3 - "$1" "$ORACLE" <<'PYTHON'
import csv, sys
path, oracle = sys.argv[1:]
answers = {row["image"]: row["label"] for row in csv.DictReader(open(oracle, newline="", encoding="utf-8"))}
queries = csv.DictReader(open(path, newline="", encoding="utf-8"))
rows = list(queries)
with open(path, "w", newline="", encoding="utf-8") as file:
    writer = csv.DictWriter(file, queries.fieldnames, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"label": row["label"] or answers.get(row["image"], "")} for row in rows)
PYTHON
}

# Merge a list into labels and write them as those of a round: begin ROUND MERGE_OPTION ...
begin() {
    mkdir -p "$(folder "$1")"
    $DFAL "${@:2}" --out "$(folder "$1")/labels.csv" "${options[@]}"
}

# What merging would come to, as JSON.
try_merge() { $DFAL "${merge[@]}" "${configured[@]}" --dry-run --json --quiet; }

# How many classes a round's labels name. A first list may be all of one, and with fewer than two nothing can be trained.
classes() {
    local labels json
    labels=$(folder "$1")/labels.csv
    # Merged into themselves they change nothing, and are counted as they are now: a person may have corrected them.
    json=$($DFAL merge --queries "$labels" --labels "$labels" --out "$labels.csv" --dry-run --json --quiet)
    number classes <<<"$json"
}

if [ -n "$LABELS" ] && [ ! -e "$(folder 1)/labels.csv" ]; then
    begin 1 merge --queries "$LABELS" --labels "$(folder 0)/labels.csv" "${spelt[@]}"
fi

# Begin with the newest round: it may have been interrupted anywhere, or its list may have been answered today.
round=0
while [ -e "$(folder $((round + 1)))/labels.csv" ]; do round=$((round + 1)); done

while true; do
    now=$(folder "$round")
    known=() few=
    if [ "$round" -gt 0 ]; then
        known=(--labels "$now/labels.csv")
        classes=$(classes "$round")
        if [ "$classes" -lt 2 ]; then few=yes; fi
    fi
    if [ -e "$now/queries.csv" ]; then
        report "$round"
    elif [ "$round" -eq 0 ] || [ -n "$few" ]; then
        if [ -n "$few" ]; then echo "round $round: the labels name fewer than two classes; asking for more at random"; fi
        asking $DFAL select --images "$IMAGES" "${known[@]}" "${outside[@]}" --strategy random --count "$COUNT" \
            --out "$now/queries.csv" --preview "$now/preview.html" "${options[@]}"
    else
        train "$round"
        if [ -n "$LAST" ] && [ "$round" -ge "$LAST" ]; then
            break
        fi
        report "$round"
        ask "$round"
    fi

    if [ -n "$ORACLE" ]; then
        answer "$now/queries.csv"
    fi
    merge=(merge --queries "$now/queries.csv" --labels "$now/labels.csv" --images "$IMAGES" "${spelt[@]}")
    if [ -z "$CLASSES" ] && [ -n "$few" ]; then merge+=(--allow-new-classes); fi
    json=$(try_merge 2>/dev/null) || try_merge # its warnings come with the merge itself, but an error must be heard
    left=$(number counts.left <<<"$json")
    if [ "$left" -gt 0 ]; then
        echo "waiting for $left answers in $now/queries.csv (look at $now/preview.html)"
        exit 0
    fi
    rows=$(number counts.merged counts.unchanged counts.conflicts <<<"$json")
    if [ "$rows" -eq 0 ]; then
        echo "waiting: $now/queries.csv has no rows; delete it to be asked anew"
        exit 0
    fi
    begin $((round + 1)) "${merge[@]}"
    round=$((round + 1))
done

echo "before: $(report 1)"
echo "after:  $(report "$round") (the last round: LAST=$LAST)"
