#!/usr/bin/env bash
# The first two batches, in twenty trials that are none of mnist_batch100.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch lenet5 --strategies random,dfal,dfal-diverse,dfal-without-twins,probability-gap --trials 20 --candidates 10000 --budget 300 --seed 1 "$@"
