# Sourced by each experiment's run.sh: `simulate DATA_SET OPTION...` plays rounds and leaves the results beside run.sh.
# DATA is the folder that prepare.py has filled. A run that was interrupted goes on when it is started again.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
DATA=$(cd "$DATA" && pwd)
every=random,entropy,least-confidence,probability-gap,bald,egl,core-set,ceal,badge,dfal-without-twins,dfal,dfal-diverse
on_heads=random,probability-gap,entropy,least-confidence,badge,core-set,dfal-without-twins,dfal,dfal-diverse,coverage,typical

simulate() {
    cd "$here/.."  # networks.py is found from here
    dfal simulate --images "$DATA/$1" --labels "$DATA/$1_train.csv" --test "$DATA/$1_test.csv" --out "${out:-$here}" \
        --device "${DEVICE:-cpu}" "${@:2}"
}

# The same of heads on embeddings by ${backbone:-lite0}, which are computed once, into DATA. OUT is a folder beside run.sh.
simulate_heads() {  # DATA_SET OUT OPTION...
    local embeddings="$DATA/$1_${backbone:-lite0}.parquet"
    dfal embed --images "$DATA/$1" --out "$embeddings" --backbone "${backbone:-lite0}" ${image_size:+--image-size "$image_size"}
    dfal simulate --embeddings "$embeddings" --labels "$DATA/${labels:-$1_train.csv}" --test "$DATA/$1_test.csv" \
        --out "$here/$2" --strategies "${strategies:-$on_heads}" "${@:3}"
}
