#!/usr/bin/env bash
# Seconds of a query round at 300 labels, among 1,000 to 60,000 candidates; one process.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

for candidates in 1000 5000 20000 60000; do
    out="$here/$candidates" simulate mnist --arch lenet5 --initial 300 --budget 500 --candidates "$candidates" --jobs 1 \
        --strategies random,entropy,bald,egl,core-set,badge,dfal-without-twins,dfal,dfal-diverse "$@"
done
