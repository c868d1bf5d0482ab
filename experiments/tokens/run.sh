#!/bin/sh
# Accuracy against time with tokens merged: the phantom's detector that `make demo` leaves, a classifier of PneumoniaMNIST
# trained in minutes, and larger models with random weights. RUN is read where it lies; its data where they lay.
set -e
export OMP_NUM_THREADS=1
RUN=${1:-outputs/demo/run}
FILE=${2:-data/pneumoniamnist.npz}
OUT=${3:-outputs/tokens}
HERE=experiments/tokens
python train.py experiment=pneumoniamnist model=vit_mini_classify data.path="$FILE" data.image_size=56 \
    trainer.max_epochs=2 trainer.check_val_every_n_epoch=1 trainer.precision=32-true optim.ema_decay=0.95 \
    hydra.run.dir="$OUT/classifier"
radvit bench tokens "$RUN" --shares 0.05,0.1,0.2,0.3,0.4,0.5 --repeats 15 --json "$HERE/results.json" \
    --figure "$HERE/curve.png"
radvit bench tokens "$OUT/classifier" --shares 0.1,0.2,0.3,0.5 --repeats 15 --json "$HERE/classifier.json" \
    --figure "$HERE/classifier.png"
python "$HERE/large.py" "$HERE/large.json"
