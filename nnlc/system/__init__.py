"""What nnlc needs of the system: files, TOML, text, processes, their environment and messages."""
