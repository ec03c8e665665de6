#!/usr/bin/env bash
# The paper's training, the best of five, where mnist_batch100 trains once a round; begun from the same labels.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch lenet5 --strategies random,dfal-without-twins,dfal,dfal-diverse --trials 5 --candidates 10000 --restarts 5 "$@"
