"""Access to the system: files, TOML, text, processes, their environment and messages."""
