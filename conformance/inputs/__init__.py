"""What checks are fed: corner cases that are always run and Hypothesis strategies for the rest."""
