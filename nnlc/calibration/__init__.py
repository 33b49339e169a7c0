"""Calibration: speeds of devices, fitted to measured seconds, and their file machines.toml."""
