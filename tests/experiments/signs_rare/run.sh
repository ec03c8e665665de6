#!/usr/bin/env bash
# Classes of unequal sizes: signs, with every twentieth photograph of three of the ten digits in the pool.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

labels=signs_rare.csv
for start in random typical; do
    simulate_heads signs "$start" --start "$start" "$@"
done
