#!/usr/bin/env bash
# Photographs of waste, of six kinds with unequal numbers of photographs: heads on embeddings by lite0, from both starts.
# The script's arguments go to `simulate`.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

for start in random typical; do
    simulate_heads trashnet "$start" --start "$start" "$@"  # 2 labels per class in each round, up to 30
    simulate_heads trashnet "$start-of-10" --start "$start" --initial 60 --count 60 --budget 360 "$@"
done
