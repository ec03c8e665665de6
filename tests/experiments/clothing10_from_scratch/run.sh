#!/usr/bin/env bash
# The defaults for photographs from scratch: ResNet-18 on few labels of clothing10, by their number, image size, augmentation and split.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"${PYTHON:-python}" "$here/train.py" "$DATA" "$here/epochs.csv"
