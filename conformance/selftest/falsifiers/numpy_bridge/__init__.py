"""Breaks of the NumPy bridge, each for one rare condition."""
