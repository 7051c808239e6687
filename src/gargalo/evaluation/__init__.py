"""Figures and the baselines beside them."""
