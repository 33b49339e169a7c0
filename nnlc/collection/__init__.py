"""Collections: folders with tables of several other folders.

<collection>/
  provenance.csv              source and sha256 of each table
  <dataset>_models/<ID>.txt   the tables, byte for byte
  journal/                    events "finish" of these tables, from their folders' journals

A collection has no campaign.toml, so that no worker takes it for a results folder.
"""
