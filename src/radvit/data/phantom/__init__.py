"""A synthetic cohort of chest radiographs with nodules, invented identities, and the truth about both."""

from radvit.data.phantom.cohort import CohortSummary, write_cohort
from radvit.data.phantom.spec import CohortSpec

__all__ = ["CohortSpec", "CohortSummary", "write_cohort"]
