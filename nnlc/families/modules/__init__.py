"""Torch modules of families that are written against the documented interface."""
