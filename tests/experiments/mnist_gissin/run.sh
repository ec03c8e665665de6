#!/usr/bin/env bash
# The network and protocol of Gissin and Shalev-Shwartz (arXiv:1907.06347), from 100 labels to 500 by 100.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate mnist --arch networks:gissin --epochs 150 --patience 150 --monitor accuracy \
    --strategies random,least-confidence,dfal-without-twins --trials 5 --candidates 10000 --budget 500 "$@"
