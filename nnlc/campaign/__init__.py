"""Campaigns: the campaign file, its networks, and their split among the elements of a job array."""
