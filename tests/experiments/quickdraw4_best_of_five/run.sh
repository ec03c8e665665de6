#!/usr/bin/env bash
# The paper's training, the best of five, where quickdraw4_batch100 trains once a round; begun from the same labels.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate quickdraw4 --arch lenet5 --strategies random,dfal-without-twins,dfal,dfal-diverse --trials 5 --restarts 5 "$@"
