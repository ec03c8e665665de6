#!/usr/bin/env bash
# Ablation: no overshoot, so that twins lie just beyond the boundary.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch lenet5 --strategies dfal,dfal-without-twins --trials 3 --candidates 10000 --overshoot 0 "$@"
