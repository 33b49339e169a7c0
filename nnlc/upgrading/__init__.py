"""Upgrade to this nnlc: what of a results folder stays, goes on, or is lost."""
