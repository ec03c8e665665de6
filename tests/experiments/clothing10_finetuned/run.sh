#!/usr/bin/env bash
# Fine-tuning beside a head on frozen embeddings: lite0 on few labels of clothing10.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"${PYTHON:-python}" "$here/train.py" "$DATA" "$here/accuracies.csv"
