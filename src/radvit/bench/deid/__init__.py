"""How well `radvit deid` de-identifies: a generated cohort with an answer key, a scorer, speed and conformance."""
