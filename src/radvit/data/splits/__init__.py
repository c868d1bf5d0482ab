"""Which images a model learns from, is tuned on and is measured on, divided by patient in several ways."""

from radvit.data.splits.by_patient import split_by_patient, split_stratified
from radvit.data.splits.folds import split_fold
from radvit.data.splits.listed import Pseudonyms, read_splits
from radvit.data.splits.official import official_splits
from radvit.data.splits.record import NAMES, Splits, check_disjoint, load_splits, save_splits
from radvit.data.splits.site import COLUMNS, split_by_site

__all__ = [
    "COLUMNS",
    "NAMES",
    "Pseudonyms",
    "Splits",
    "check_disjoint",
    "load_splits",
    "official_splits",
    "read_splits",
    "save_splits",
    "split_by_patient",
    "split_by_site",
    "split_fold",
    "split_stratified",
]
