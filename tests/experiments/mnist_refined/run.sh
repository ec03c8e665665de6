#!/usr/bin/env bash
# Ablation: the tighter estimator.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch lenet5 --strategies dfal,dfal-without-twins --trials 3 --candidates 10000 --estimator refined "$@"
