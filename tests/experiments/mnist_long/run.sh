#!/usr/bin/env bash
# How many labels 95 % and 97 % take: the margin strategies and random on MNIST, on to 2,500 labels.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch lenet5 --strategies random,dfal-without-twins,dfal,dfal-diverse --trials 3 --candidates 10000 --budget 2500 "$@"
