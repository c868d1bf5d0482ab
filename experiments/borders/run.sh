#!/bin/sh
# Plates larger than the field: what a detector finds on them as they are, and with empty borders cropped. Takes minutes.
# RUN: a detector trained on the phantom, as `make demo` leaves it.
set -e
RUN=${1:-outputs/demo/run}
OUT=${2:-outputs/borders}
HERE=$(dirname "$0")
for SHARE in 0 1; do
    radvit phantom "$OUT/phantom$SHARE" --small --patients 100 --seed 20000 --collimated "$SHARE" --workers 2
done
python "$HERE/cropping.py" "$RUN" "$OUT/cropping"
measure() {  # MODEL COHORT NAME
    python evaluate.py checkpoint="$1" data=phantom data.path="$OUT/$2/dicom" data.truth="$OUT/$2/truth.json" \
        data.cache="$OUT/cache" data.split.train=0 data.split.val=0 data.split.test=1 accept_seen=true output="$OUT/$3"
}
measure "$RUN" phantom0 field
measure "$RUN" phantom1 whole
measure "$OUT/cropping" phantom1 cropped
python evaluate.py "compare=[$OUT/whole,$OUT/cropped]" output="$OUT/compare"
python "$HERE/collect.py" "$OUT"
