"""Exports: many tables as a few files for other programs, and back into tables, byte for byte.

<export>/
  export.json                     format, size and sha256 of each other file
  networks.parquet, .csv          a record for each network: `nnlc.exporting.schema`
  curves.parquet, .csv            a record for each half epoch of each network
  tables.h5                       records of both kinds in exports by earlier versions
  croissant.json                  description for programs, in the vocabulary of Croissant 1.0
  datasheet.html                  description for people
"""
