"""Calibration: machines fitted to measured seconds, their errors, and the file that keeps them."""
