#!/usr/bin/env bash
# Small photographs of shoes and bags, at 64 pixels: heads on embeddings by lite0, from both starts.
# The script's arguments go to `simulate`.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

image_size=64
for start in random typical; do
    simulate_heads shoebag "$start" --start "$start" "$@"  # 2 labels per class in each round, up to 30
    simulate_heads shoebag "$start-of-10" --start "$start" --initial 20 --count 20 --budget 60 "$@"
done
