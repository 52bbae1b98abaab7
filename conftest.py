"""Plugs the engine into pytest; there is nothing else to configure here."""

pytest_plugins = ["conformance.engine.plugin"]
# whatever folder is named, pytest runs the areas; these run where they are named themselves
collect_ignore = ["conformance/selftest", "conformance/performance"]
