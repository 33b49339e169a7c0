"""A campaign: its file, its networks, and the part of them that an array element trains."""
