"""Verification: networks trained again, compared to the byte or, if published, with seeds."""
