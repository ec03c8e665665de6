#!/usr/bin/env bash
# Ablation: 300 random candidates a round, as the authors draw.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch lenet5 --strategies dfal,dfal-without-twins --trials 3 --candidates 300 "$@"
