"""Performance: what calls cost on this machine, timed and kept as baselines, and how fast the suite itself is."""
