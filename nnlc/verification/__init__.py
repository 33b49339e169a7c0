"""Verification of tables: networks are trained again, and their curves are compared."""
