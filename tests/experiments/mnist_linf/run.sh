#!/usr/bin/env bash
# Ablation: margins in the largest change of a pixel.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch lenet5 --strategies dfal,dfal-without-twins --trials 3 --candidates 10000 --norm linf "$@"
