#!/usr/bin/env bash
# Ablation: only the three most probable classes are candidates.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch lenet5 --strategies dfal,dfal-without-twins --trials 3 --candidates 10000 --classes 3 "$@"
