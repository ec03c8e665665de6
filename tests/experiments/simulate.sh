# Sourced by each experiment's run.sh: `simulate DATA_SET OPTION...` plays rounds and leaves the results beside run.sh.
# DATA is the folder that prepare.py has filled. A run that was interrupted goes on when it is started again.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
DATA=$(cd "$DATA" && pwd)
every=random,entropy,least-confidence,probability-gap,bald,egl,core-set,ceal,badge,dfal-without-twins,dfal,dfal-diverse

simulate() {
    cd "$here/.."  # networks.py is found from here
    dfal simulate --images "$DATA/$1" --labels "$DATA/$1_train.csv" --test "$DATA/$1_test.csv" --out "${out:-$here}" \
        --device "${DEVICE:-cpu}" "${@:2}"
}
