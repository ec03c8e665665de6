#!/usr/bin/env bash
# Labels flipped at random: those that `dfal review` finds, beside cleanlab's.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"${PYTHON:-python}" "$here/review.py" "$DATA" "$here/found.csv"
