"""Measurements: speed and memory as ratios within one run, quality as figures of pictures."""
