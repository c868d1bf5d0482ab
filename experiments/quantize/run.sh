#!/bin/sh
# INT8 of trained models, judged by the gate on their validation splits: run.sh PHANTOM_RUN PNEUMONIA_RUN
set -e
for run in "$@"; do
  python evaluate.py checkpoint="$run" split=val quantize=int8
done
python experiments/quantize/ranks.py "$@" > experiments/quantize/results.json
