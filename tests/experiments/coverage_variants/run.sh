#!/usr/bin/env bash
# How `coverage` was chosen: its kernel, width, uncertainty and embeddings, each changed alone, on clothing10 and trashnet.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for name in clothing10 trashnet; do
    dfal embed --images "$DATA/$name" --out "$DATA/${name}_lite0.parquet" --backbone lite0
done
"${PYTHON:-python}" "$here/play.py" "$DATA" "$here/accuracies.csv"
