#!/usr/bin/env bash
# Every strategy on four classes of Quick-Draw with LeNet5, from 100 labels to 1,000 by 100.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate quickdraw4 --arch lenet5 --strategies "$every" --trials 5 "$@"
