#!/usr/bin/env bash
# Five seeds from scratch, each on one core, measured on the official test split once:
# experiments/pneumoniamnist/run.sh FILE.npz
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/.venv/bin:$PATH" OMP_NUM_THREADS=1 FILE=${1:?"expected the path of pneumoniamnist.npz"}
export OUT=outputs/experiments/pneumoniamnist TIMEFORMAT="%U s of processor time"
one_seed() {
  time python train.py experiment=pneumoniamnist data.path="$FILE" seed="$1" hydra.run.dir="$OUT/$1" &&
    python evaluate.py checkpoint="$OUT/$1"
}
export -f one_seed
printf '%s\n' 0 1 2 3 4 | xargs -P 2 -I{} bash -c 'one_seed {}'
radvit experiment record "$OUT"/{0,1,2,3,4} --name pneumoniamnist
