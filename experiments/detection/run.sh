#!/bin/sh
# The hard phantom: one dense pass against a window of 128 px slid by 64 px. Takes two hours on two cores.
set -e
OUT=${1:-outputs/detection}
test -d data/phantom_hard || radvit phantom data/phantom_hard --hard --patients 1000 --seed 0
python train.py experiment=phantom_hard hydra.run.dir="$OUT/dense"
python train.py experiment=phantom_hard_window hydra.run.dir="$OUT/window"
python evaluate.py checkpoint="$OUT/dense"
python evaluate.py checkpoint="$OUT/window"
python evaluate.py "compare=[$OUT/window,$OUT/dense]" output="$OUT/compare"
radvit bench detect "$OUT/dense" "$OUT/window" --input data/phantom_hard/dicom --one-by-one --json "$OUT/speed.json"
python experiments/detection/collect.py "$OUT"
