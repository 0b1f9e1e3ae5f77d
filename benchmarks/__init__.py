"""Benchmarks: kist against its peers in the same run, and against the figures it promises. ``python -m benchmarks --help``."""
