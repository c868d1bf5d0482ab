#!/bin/sh
# Three heads of the dense detector on the phantom, judged on its validation split. Takes an hour on two cores.
set -e
OUT=${1:-outputs/heads}
test -d data/phantom || radvit phantom data/phantom --patients 700 --small
for head in heat set centreness; do
  python train.py experiment=phantom_nodule model.detector=$head hydra.run.dir="$OUT/$head"
done
python train.py experiment=phantom_nodule model.decode.flip=true hydra.run.dir="$OUT/flip"
for run in heat set centreness flip; do
  python evaluate.py checkpoint="$OUT/$run" split=val
done
for other in set centreness flip; do
  python evaluate.py "compare=[$OUT/heat,$OUT/$other]" split=val output="$OUT/compare/$other"
done
python experiments/heads/collect.py "$OUT"
