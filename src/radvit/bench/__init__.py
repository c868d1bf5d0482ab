"""Measurements that users can repeat: radvit against what they would write without it, as ratios of one run."""
