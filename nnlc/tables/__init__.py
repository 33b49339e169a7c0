"""The published table format: its columns, defined once, and reading and writing it."""
