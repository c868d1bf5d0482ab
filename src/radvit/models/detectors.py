"""The three ways in which a dense detector's locations can answer."""

from __future__ import annotations

from enum import StrEnum


class DetectorKind(StrEnum):
    """What each location of a detector's maps is taught, and so how its maps become boxes.

    HEAT: a Gaussian around each lesion's centre; boxes are the local maxima (Zhou et al. 2019, CenterNet).
    CENTRENESS: every location inside a lesion answers, and says how central it lies; overlapping boxes are suppressed
    (Tian et al. 2019, FCOS). SET: one location a lesion answers, matched to it by what it predicts; nothing is
    suppressed (Wang et al. 2021, DeFCN).
    """

    HEAT = "heat"
    CENTRENESS = "centreness"
    SET = "set"
