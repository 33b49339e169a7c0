"""Collections: folders with tables of several other folders.

<collection>/
  provenance.csv              source, sha256 and campaign of each table
  campaigns/<sha256>.toml     campaign.toml of the tables' folders, byte for byte
  campaigns/<sha256>.costs.json
                              costs.json of these folders, if there is one
  <dataset>_models/<ID>.txt   the tables, byte for byte
  weights/<ID>.safetensors    weights that the tables' campaigns have kept
  journal/                    events "finish" of these tables, from their folders' journals

A collection has no campaign.toml, so that no worker takes it for a results folder.
"""
