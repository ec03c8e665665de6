#!/usr/bin/env bash
# trashnet_heads by another pretrained network, lite2 at 260 pixels.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

backbone=lite2
strategies=random,probability-gap,badge,core-set,dfal-without-twins,dfal-diverse,coverage,typical
for start in random typical; do
    simulate_heads trashnet "$start" --start "$start" "$@"
done
