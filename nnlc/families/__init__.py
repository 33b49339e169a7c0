"""Families of networks: search spaces of the user's own, beside the article's.

A family's author imports `Family` and the other names of this module, and nothing else of nnlc.
"""

from nnlc.families.interface import Draws, Family, FamilySpec, ImageSet, Kind, Layer, Value, Wrong

__all__ = ["Draws", "Family", "FamilySpec", "ImageSet", "Kind", "Layer", "Value", "Wrong"]
