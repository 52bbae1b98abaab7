"""Performance: how fast the suite itself is, and the baselines of what it tests."""
