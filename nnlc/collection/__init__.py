"""Collections: folders of tables put together from other folders.

<collection>/
  provenance.csv              which table came from where, with its sha256
  <dataset>_models/<ID>.txt   the tables, byte for byte
  journal/                    what the journals of their folders say of how they were finished

A collection has no campaign.toml: no worker takes it for a results folder.
"""
