"""Audit of tables: every rule that follows from their bytes. No torch in here."""
