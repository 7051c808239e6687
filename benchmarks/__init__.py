"""Measurements too long for the tests. One command each: ``python -m benchmarks.NAME`` (``make bench`` runs all)."""
