#!/usr/bin/env bash
# Photographs: ResNet-18 at 64 pixels on ten kinds of clothing, from 100 labels to 600 by 100.
. "$(dirname "${BASH_SOURCE[0]}")/../simulate.sh"

simulate clothing10 --arch resnet18 --image-size 64 --augment photo --strategies random,entropy,badge,dfal,dfal-diverse --budget 600 "$@"
