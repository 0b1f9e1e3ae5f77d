"""Bytes with versions: the engine of format 1 (`docs/spec/format-1.md`). It knows stores, and nothing above it."""
