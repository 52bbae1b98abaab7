"""Specs in, verdicts out: loading, binding, running and recording; it knows no behaviour."""
