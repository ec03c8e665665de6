#!/usr/bin/env bash
# Every strategy on MNIST with LeNet5, from 100 labels to 500 by 10.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch lenet5 --strategies "$every" --trials 5 --candidates 2000 --count 10 --budget 500 "$@"
