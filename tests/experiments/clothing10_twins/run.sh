#!/usr/bin/env bash
# Twins of embeddings at 1.02, 2 and 5 times the margin; those of clothing10_heads lie at 1.02 times.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

strategies=dfal-without-twins,dfal,dfal-diverse-without-twins,dfal-diverse
for overshoot in 0.02 1 4; do
    simulate_heads clothing10 "overshoot-$overshoot" --start typical --overshoot "$overshoot" "$@"
done
