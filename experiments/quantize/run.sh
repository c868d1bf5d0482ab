#!/bin/sh
# INT8 of three trained models, judged by the gate on their validation splits: run.sh PHANTOM_RUN PNEUMONIA_RUN VIT_B_RUN
# The first two are those of experiments/phantom_nodule and experiments/pneumoniamnist; the third is trained by
#   python train.py experiment=pneumoniamnist model=vit_base model.task=classify model.pretrained=false \
#     data.image_size=224 augment=none optim.batch_size=16 optim.lr=5e-5 optim.warmup=0.2 optim.ema_decay=0.9 \
#     trainer.max_epochs=1 trainer.limit_train_batches=90
set -e
for run in "$@"; do
  python evaluate.py checkpoint="$run" split=val quantize=int8
done
python experiments/quantize/ranks.py "$@" > experiments/quantize/results.json
