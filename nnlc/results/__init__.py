"""A results folder: its paths, journal, campaign file, and the state of every network."""
