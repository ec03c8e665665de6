#!/usr/bin/env bash
# Run this script every night. It runs as far as the answers allow, and waits for a person where they are missing.
#
#   bash sample_data/round.sh          runs three rounds on the sample data; oracle.csv answers instead of a person
#
# For your own images, copy it, change the settings below and leave ORACLE empty. Then add it to your crontab:
#   15 2 * * *  cd /data/birds && PATH="/opt/dfal/.venv/bin:$PATH" bash round.sh --quiet
# You may run it as often as you like. Options that every command of dfal has (--quiet) may follow. If a command fails,
# the script ends with its exit code.
#
# Each round has a numbered folder, in which nothing changes after the next round has started:
#   rounds/000/queries.csv                       a random first list, before anything is trained
#   rounds/001/labels.csv model.safetensors train.json scores.parquet queries.csv preview.html
#   rounds/002/labels.csv ...                    the labels of round 1 and the answers to its list; and so on
# With EMBED=embeddings.parquet, for photos, a pretrained network embeds the images into that file. Later nights embed only
# new images, and training, scoring and selecting take seconds. The first list is typical instead of random.
# You may change settings at any time. Once a round has its list, nothing of the round is computed again, so the new
# settings apply from the next round on. A night that ended before that is repeated with the new settings.
set -euo pipefail
shopt -s inherit_errexit # a command that fails inside $(...) also ends the script, with its exit code

here=$(cd "$(dirname "$0")" && pwd)
IMAGES=${IMAGES-$here/images}     # the image root
TEST=${TEST-$here/test.csv}       # image,label: measures the network and is never asked about; empty: none
ROUNDS=${ROUNDS-$here/rounds}     # where the numbered folders go
ORACLE=${ORACLE-$here/oracle.csv} # labels that answer instead of a person; empty: a person fills in rounds/NNN/queries.csv
LABELS=${LABELS-}                 # labels to start the first round with, and only that; empty: none
NEW_CLASSES=${NEW_CLASSES-${ORACLE:+yes}} # yes: answers may name classes that no label has had yet
CLASSES=${CLASSES-}               # classes that answers may always name, a,b,c; empty: those of the labels

EMBED=${EMBED-}                   # file of embeddings to keep up to date and to train on, for photos; empty: none
BACKBONE=${BACKBONE-}             # the network that embeds; empty: dfal's default (pip install 'dfal-cli[photos]')

# The next four are for networks that are trained on the images, without EMBED:
ARCH=${ARCH-}                     # the network; empty: dfal's default
IMAGE_SIZE=${IMAGE_SIZE-}         # side of its input in pixels; empty: dfal's default
EPOCHS=${EPOCHS-}                 # maximum number of epochs; empty: 100
RESTARTS=${RESTARTS-5}            # number of training runs; the best one is kept, as in the paper
CONFIG=${CONFIG-}                 # a dfal.yaml with any other options, a section for each command; empty: none

COUNT=${COUNT-40}                 # number of queries per round
STRATEGY=${STRATEGY-}             # see `dfal docs strategies`; empty: dfal, or coverage with EMBED
CONTROL=${CONTROL-auto}           # share of each list drawn at random, to measure the accuracy on the pool; empty: none;
                                  # auto: 0.1 if a person answers and there is no TEST, else none (`dfal docs status`)
STOP_WHEN=${STOP_WHEN-}           # ask no more when these rules hold, such as stable or stable,flat; empty: never
LAST=${LAST-${ORACLE:+3}}         # stop after training in this round; empty: never
CACHE=${CACHE-}                   # a folder that keeps decoded images from night to night; empty: none
DFAL=${DFAL-dfal}                 # or: python3 -m dfal_cli

# A setting that cannot work stops the script now, and not after hours of training.
refuse() {
    echo "$0: $1" >&2
    exit 2
}
if [ -n "$EMBED" ] && [ "$STRATEGY" = bald ]; then
    refuse "STRATEGY=bald needs a network with dropout, which EMBED replaces by a head; choose another strategy"
elif [ -n "$EMBED" ] && [ -n "$ARCH$IMAGE_SIZE" ]; then
    refuse "ARCH and IMAGE_SIZE have no effect with EMBED; remove them (BACKBONE names the network that embeds)"
elif [ -z "$EMBED" ] && [ -n "$BACKBONE" ]; then
    refuse "BACKBONE has no effect without EMBED; name the file of embeddings, too: EMBED=embeddings.parquet"
fi

if [ "$CONTROL" = auto ]; then
    CONTROL=
    if [ -z "$TEST$ORACLE" ]; then CONTROL=0.1; fi
fi
configured=(${CONFIG:+--config "$CONFIG"})
options=("${configured[@]}" "$@")
cached=(${CACHE:+--cache "$CACHE"})
if [ -n "$EMBED" ]; then
    STRATEGY=${STRATEGY:-coverage}
    source=(--embeddings "$EMBED")
    training=()
    first=(--embeddings "$EMBED" --images "$IMAGES" --strategy typical)
else
    STRATEGY=${STRATEGY:-dfal}
    network=(${ARCH:+--arch "$ARCH"})
    source=(--images "$IMAGES" "${network[@]}" "${cached[@]}")
    training=(${IMAGE_SIZE:+--image-size "$IMAGE_SIZE"} ${EPOCHS:+--epochs "$EPOCHS"} ${RESTARTS:+--restarts "$RESTARTS"})
    first=(--images "$IMAGES" --strategy random)
fi
measured=(${TEST:+--test "$TEST"})
outside=(${TEST:+--exclude "$TEST"})
keyed=(--keys "$ROUNDS/keys.csv" ${CLASSES:+--class-names "$CLASSES"}) # on the pages on which people answer
stopping=(${STOP_WHEN:+--stop-when "$STOP_WHEN" --rounds "$ROUNDS"})
spelt=(${CLASSES:+--class-names "$CLASSES"} ${NEW_CLASSES:+--allow-new-classes})

# What each strategy needs from `score`: certain margins and twins for the images that it considers, or more measures.
nearest=0 twins=0 measures=()
case $STRATEGY in
    dfal) nearest=$COUNT twins=$COUNT ;;
    dfal-without-twins) nearest=$COUNT ;;
    dfal-diverse) nearest=$((10 * COUNT)) twins=$((10 * COUNT)) measures=(embedding) ;;
    dfal-diverse-without-twins) nearest=$((10 * COUNT)) measures=(embedding) ;;
    bald | egl) measures=("$STRATEGY") ;;
    core-set | coverage | typical) measures=(embedding) ;;
    badge) measures=(embedding probabilities) ;;
    entropy | least-confidence | probability-gap | ceal | random) ;;
    *) refuse "STRATEGY=$STRATEGY: unknown to this script; see dfal docs strategies" ;;
esac
needs=()
if [ -z "$EMBED" ]; then needs+=(--nearest "$nearest"); fi # on embeddings, all margins are computed
if [ "$twins" -gt 0 ]; then needs+=(--twins "$twins"); fi
for measure in "${measures[@]}"; do
    if [ -z "$EMBED" ] || [ "$measure" != embedding ]; then needs+=(--measure "$measure"); fi
done

folder() { printf '%s/%03d' "$ROUNDS" "$1"; }

# Print the sum of numbers in dfal's JSON on stdin: number KEY[.KEY] ...
number() {
    python3 -c '
import functools, json, sys
result = json.load(sys.stdin)
print(sum(functools.reduce(dict.__getitem__, key.split("."), result) for key in sys.argv[1:]))' "$@"
}

# Run a command that writes a file. This round has no list yet, so an existing file that was made differently (exit
# code 2: other settings, images or labels since an unfinished night) is overwritten.
produce() {
    local file=$1 code=0
    shift
    "$@" "${options[@]}" || code=$?
    if [ "$code" -eq 2 ] && [ -e "$file" ]; then
        echo "$file: overwriting it" >&2
        "$@" "${options[@]}" --force
    else
        return "$code"
    fi
}

# Run a command that looks for images to ask about. If none are left, it fails with a pool of 0 in its JSON, and all the
# work is done. It ends with exit code 4 if the rules of STOP_WHEN hold.
asking() {
    local json code=0
    json=$("$@" --json) || code=$?
    if [ "$code" -eq 4 ]; then
        outlook "$round"
        echo "stopping, because $STOP_WHEN holds; to go on, run again with STOP_WHEN= or other rules"
        exit 0
    fi
    if [ "$code" -eq 3 ] && [ -n "$json" ] && [ "$(number counts.pool <<<"$json")" -eq 0 ]; then
        echo "nothing is left to ask about: all images are labelled or excluded"
        exit 0
    fi
    return "$code"
}

# Embed the images that are new or have changed, with EMBED, and print the files if they have changed. Embeddings of
# another backbone are never overwritten: they may have taken hours.
embed() {
    local json
    if [ -z "$EMBED" ]; then return; fi
    json=$($DFAL embed --images "$IMAGES" ${BACKBONE:+--backbone "$BACKBONE"} "${cached[@]}" --out "$EMBED" \
        "${options[@]}" --json)
    python3 -c '
import json, sys
result = json.load(sys.stdin)
if result["status"] != "up to date":
    print(*result["outputs"], sep="\n")' <<<"$json"
}

# Train on a round's labels, from scratch.
train() {
    local now guesses
    now=$(folder "$1") guesses=$(folder $(($1 - 1)))/queries.csv.pseudo.csv
    if [ ! -e "$guesses" ]; then guesses=; fi
    produce "$now/model.safetensors" $DFAL train "${source[@]}" --labels "$now/labels.csv" "${measured[@]}" \
        ${guesses:+--pseudo-labels "$guesses"} "${training[@]}" \
        --seed "$1" --out "$now/model.safetensors" --json >"$now/train.json.new"
    mv "$now/train.json.new" "$now/train.json"
}

# Score the pool and write the list. The list comes last: a round that has it is complete.
ask() {
    local now
    now=$(folder "$1")
    asking produce "$now/scores.parquet" $DFAL score "${source[@]}" --labels "$now/labels.csv" "${outside[@]}" "${needs[@]}" \
        --checkpoint "$now/model.safetensors" --out "$now/scores.parquet"
    asking $DFAL select --scores "$now/scores.parquet" --labels "$now/labels.csv" --count "$COUNT" --strategy "$STRATEGY" \
        ${EMBED:+--images "$IMAGES"} ${CONTROL:+--control "$CONTROL"} "${stopping[@]}" --round "$1" \
        --out "$now/queries.csv" --preview "$now/preview.html" "${keyed[@]}" \
        "${options[@]}"
}

# Report a round in one line: labels so far, accuracy, change since the last round, and the most frequent mistakes.
# Without a test set, the accuracy is that on the labelled images. It says little about the progress: each round adds
# images that the strategy finds hard.
report() {
    if [ ! -e "$(folder "$1")/train.json" ]; then return; fi
    python3 - "$1" "$STRATEGY" "$(folder "$1")/train.json" "$(folder $(($1 - 1)))/train.json" <<'PYTHON'
import json, os, sys
number, strategy, *files = sys.argv[1:]
now, before = (json.load(open(file, encoding="utf-8")) if os.path.exists(file) else {} for file in files)
labelled = now["counts"]["labelled"]
lost = [name for name in before.get("classes", ()) if name not in now["classes"]]
line = f"round {number}: {labelled} label{'s' * (labelled != 1)}"
for kind in [kind for kind in ("test", "validation") if kind in now][:1]:
    measured, accuracy = now[kind], 100 * now[kind]["accuracy"]
    low, high = (100 * end for end in measured["interval"])
    images = f"{measured['examples']} image{'s' * (measured['examples'] != 1)}"
    if kind == "test" or now.get("validation_from") == "file":
        line += f", {kind} accuracy {accuracy:.1f} % ({low:.0f} to {high:.0f}, {images})"
        if kind in before:
            line += f", {accuracy - 100 * before[kind]['accuracy']:+.1f} points since round {int(number) - 1}"
    else:
        line += f", accuracy {accuracy:.1f} % ({low:.0f} to {high:.0f}, {images}) on the labelled images"
        line += ", which are harder than the rest" if int(number) > 1 and strategy != "random" else ""
    confused = [f"{true} taken for {taken} ({times})" for true, taken, times in measured["confused"][:3]]
    line += f"; confused most: {', '.join(confused)}" if confused else ""
line += f"; without images since round {int(number) - 1}: {', '.join(lost)}" if lost else ""
sys.stdout.reconfigure(errors="backslashreplace")  # a class may have any name, but a log may not show it
print("".join(sign if sign.isprintable() else "?" for sign in line))
PYTHON
}

# Say in one line what the rounds so far tell together, if they do: the accuracy on the pool by random control images, how
# many more labels are needed, and whether to stop. The page has the rest.
outlook() {
    local json
    if [ -z "$CONTROL" ] && [ "$1" -lt 4 ]; then return; fi
    json=$($DFAL status --labels "$(folder "$1")/labels.csv" --rounds "$ROUNDS" "${measured[@]}" "${configured[@]}" \
        --page "$ROUNDS/status.html" --json --quiet) || return 0
    python3 -c '
import json, sys
sys.stdout.reconfigure(errors="backslashreplace")
if news := json.load(sys.stdin)["news"]:
    print(f"so far: {news} (more in {sys.argv[1]})")' "$ROUNDS/status.html" <<<"$json"
}

# Say how to measure the accuracy on images like the rest, once, if the training had neither test nor validation images.
propose_test() {
    local now root
    now=$(folder "$1")
    printf -v root %q "$IMAGES"
    if [ "$1" -eq 1 ] && [ -z "$ORACLE" ] && ! grep -Eq '"test": \{|"validation_from": "file"' "$now/train.json"; then
        echo "to measure the accuracy on images like the rest, set random ones aside:" \
            "$DFAL select --images $root --labels $now/labels.csv --exclude $now/queries.csv --strategy random" \
            "--count 200 --out test.csv; fill in the labels, then set TEST=test.csv"
    fi
}

# Write the oracle's labels into a query list, as a person would in a spreadsheet.
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

# Run a merge. Its messages name the settings of this script instead of the options that they set.
merging() {
    local said code=0
    { said=$("$@" 2>&1 >&3) || code=$?; } 3>&1
    if [ -n "$said" ]; then
        said=${said//--allow-new-classes/NEW_CLASSES=yes}
        echo "${said//--class-names/CLASSES}" >&2
        if [[ $code -ne 0 && $said == *--class-names* ]]; then
            echo "(settings of $0: CLASSES=a,b,c names classes in advance; NEW_CLASSES=yes accepts any new class)" >&2
        fi
    fi
    return "$code"
}

# Merge a list into the labels and write them as the labels of a round: begin ROUND MERGE_OPTION ...
begin() {
    mkdir -p "$(folder "$1")"
    merging $DFAL "${@:2}" --out "$(folder "$1")/labels.csv" "${options[@]}"
}

# Print the result that a merge would have, as JSON.
try_merge() { merging $DFAL "${merge[@]}" "${configured[@]}" --dry-run --json --quiet; }

# Say if LABELS holds labels that a later round's do not: it is read only once.
say_what_is_not_read() {
    local json left
    json=$(merging $DFAL merge --queries "$LABELS" --labels "$1" --on-conflict keep --allow-new-classes "${spelt[@]}" \
        --dry-run --json --quiet 2>/dev/null) || return 0
    left=$(number counts.merged <<<"$json")
    if [ "$left" -gt 0 ]; then
        echo "LABELS=$LABELS is read only to start the first round; $left of its labels are not in $1:" \
            "to add them, $DFAL merge --queries $LABELS --labels $1"
    fi
}

# Count the classes of a round's labels. A first list may have only one class, and training needs two.
classes() {
    local labels json
    labels=$(folder "$1")/labels.csv
    # Merging the labels into themselves changes nothing and counts them as they are now: a person may have corrected them.
    json=$($DFAL merge --queries "$labels" --labels "$labels" --out "$labels.csv" --dry-run --json --quiet)
    number classes <<<"$json"
}

if [ -n "$LABELS" ] && [ ! -e "$(folder 1)/labels.csv" ]; then
    begin 1 merge --queries "$LABELS" --labels "$(folder 0)/labels.csv" "${spelt[@]}"
fi

# Start with the newest round: it may have been interrupted at any point, or its list may have been answered today.
round=0
while [ -e "$(folder $((round + 1)))/labels.csv" ]; do round=$((round + 1)); done
if [ -n "$LABELS" ]; then say_what_is_not_read "$(folder "$round")/labels.csv"; fi

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
        if [ -n "$few" ]; then echo "round $round: the labels name fewer than two classes; asking for more"; fi
        embed
        asking $DFAL select "${first[@]}" "${known[@]}" "${outside[@]}" --count "$COUNT" \
            --out "$now/queries.csv" --preview "$now/preview.html" "${keyed[@]}" "${options[@]}"
    else
        embed
        train "$round"
        if [ -n "$LAST" ] && [ "$round" -ge "$LAST" ]; then
            break
        fi
        report "$round"
        ask "$round"
        outlook "$round"
        propose_test "$round"
    fi

    if [ -n "$ORACLE" ]; then
        answer "$now/queries.csv"
    fi
    merge=(merge --queries "$now/queries.csv" --labels "$now/labels.csv" --images "$IMAGES" \
        --on-missing leave-out "${spelt[@]}")
    if [ -z "$CLASSES" ] && [ -n "$few" ]; then merge+=(--allow-new-classes); fi
    json=$(try_merge 2>/dev/null) || try_merge # the merge itself repeats its warnings, but an error must be shown
    left=$(number counts.left <<<"$json")
    if [ "$left" -gt 0 ]; then
        answers=answers
        if [ "$left" -eq 1 ]; then answers=answer; fi
        page=($DFAL label --queries "$now/queries.csv" --images "$IMAGES" "${known[@]}" "${keyed[@]}")
        echo "answer in the browser: $(printf '%q ' "${page[@]}" | sed 's/\\,/,/g; s/ $//')"
        echo "waiting for $left $answers in $now/queries.csv (look at $now/preview.html)"
        exit 0
    fi
    rows=$(number counts.merged counts.unchanged counts.conflicts counts.missing <<<"$json")
    if [ "$rows" -eq 0 ]; then
        echo "waiting: $now/queries.csv has no rows; delete it to get a new list"
        exit 0
    fi
    begin $((round + 1)) "${merge[@]}"
    round=$((round + 1))
done

echo "before: $(report 1)"
echo "after:  $(report "$round") (the last round: LAST=$LAST)"
