#!/usr/bin/env bash
# The first two batches, in twenty trials that are none of quickdraw4_batch100.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate quickdraw4 --arch lenet5 --strategies random,dfal,dfal-diverse,dfal-without-twins,probability-gap --trials 20 --budget 300 --seed 1 "$@"
