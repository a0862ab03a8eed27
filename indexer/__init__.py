"""Builds the index offline: reads protected works, keeps hashed fingerprints of them, and no text."""
