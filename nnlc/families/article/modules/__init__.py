"""Torch modules of the article's layers."""
