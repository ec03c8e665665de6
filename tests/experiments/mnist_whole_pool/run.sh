#!/usr/bin/env bash
# Ablation: margins of the whole pool instead of 10,000 random candidates.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch lenet5 --strategies dfal,dfal-without-twins,dfal-diverse --trials 3 "$@"
