#!/bin/sh
# All tables and figures of this folder, for the machine at hand; half an hour on two cores that do nothing else.
set -e
OUT=${1:-outputs/speed}
mkdir -p "$OUT"
radvit bench speed --model vit_tiny_patch16_224 --model vit_small_patch16_224 --model vit_base_patch16_224 \
    --size 224 384 --batch 1 8 --json "$OUT/speed.json"
radvit bench end-to-end --model vit_base_patch16_224 --size 384 --json "$OUT/end_to_end.json"
python experiments/speed/collect.py "$OUT"
