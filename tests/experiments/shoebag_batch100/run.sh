#!/usr/bin/env bash
# Every strategy on Shoe-Bag with LeNet5 (VGG8 is too slow for a CPU), from 100 labels to 600 by 100.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate shoebag --arch lenet5 --strategies "$every" --trials 3 --budget 600 "$@"
