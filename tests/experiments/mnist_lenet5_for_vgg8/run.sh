#!/usr/bin/env bash
# Transferability: LeNet5 chooses, VGG8 is trained on what it chose.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch lenet5 --train-arch vgg8 --strategies random,core-set,dfal --trials 3 --candidates 2000 --budget 500 "$@"
