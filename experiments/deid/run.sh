#!/usr/bin/env bash
# radvit and three other tools on the same 200 generated studies, scored by one scorer: the table of README.md.
# The other tools get a virtual environment of their own, made by uv and removed afterwards.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/.venv/bin:$PATH" OMP_NUM_THREADS=1
python experiments/deid/rivals.py experiments/deid/results.json --studies 200 --seed 0 \
  --readme experiments/deid/README.md
