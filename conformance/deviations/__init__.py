"""Listed deviations, kept in step with what runs saw."""
