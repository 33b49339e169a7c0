"""Upgrade to this nnlc: which tables of a folder stay valid, and which networks continue."""
