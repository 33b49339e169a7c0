"""Exports: many tables as a few files that other programs read, and back, byte for byte.

<export>/
  export.json                     what it is, and the size and sha256 of each other file
  networks.parquet, .csv          a record for each network: `nnlc.exporting.schema`
  curves.parquet, .csv            a record for each half epoch of each network
  tables.h5                       both, in place of these, as earlier versions wrote them
  croissant.json                  all this for programs, in the vocabulary of Croissant 1.0
  datasheet.html                  all this for people
"""
