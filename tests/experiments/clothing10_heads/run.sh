#!/usr/bin/env bash
# Photographs of ten kinds of clothing: heads on embeddings by lite0, from both starts.
# The script's arguments go to `simulate`.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

for start in random typical; do
    simulate_heads clothing10 "$start" --start "$start" "$@"  # 2 labels per class in each round, up to 30
    simulate_heads clothing10 "$start-of-10" --start "$start" --initial 100 --count 100 --budget 300 "$@"
done
