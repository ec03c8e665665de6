#!/usr/bin/env bash
# Transferability: VGG8 chooses, LeNet5 is trained on what it chose.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch vgg8 --train-arch lenet5 --strategies random,core-set,dfal --trials 3 --candidates 2000 --budget 500 "$@"
