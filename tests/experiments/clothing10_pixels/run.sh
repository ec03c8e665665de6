#!/usr/bin/env bash
# Margins in pixels through the frozen network, beside margins of embeddings and the probability gap; 300 candidates.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"${PYTHON:-python}" "$here/play.py" "$DATA" "$here"
