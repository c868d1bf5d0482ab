"""What must hold before a model learns from a cohort, and what a person should know of it."""

from radvit.data.checks.duplicates import look_alikes
from radvit.data.checks.examine import (
    Examination,
    Level,
    Remark,
    check_boxes,
    check_cohort,
    check_masks,
    examine,
    split_counts,
)
from radvit.data.checks.integrity import Problem
from radvit.data.checks.leaks import Leak, LeakKind

__all__ = [
    "Examination",
    "Leak",
    "LeakKind",
    "Level",
    "Problem",
    "Remark",
    "check_boxes",
    "check_cohort",
    "check_masks",
    "examine",
    "look_alikes",
    "split_counts",
]
