#!/usr/bin/env bash
# Photographs of hands that show ten digits: heads on embeddings by lite0, from both starts.
# The script's arguments go to `simulate`.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

for start in random typical; do
    simulate_heads signs "$start" --start "$start" "$@"  # 2 labels per class in each round, up to 30
    simulate_heads signs "$start-of-10" --start "$start" --initial 100 --count 100 --budget 600 "$@"
done
