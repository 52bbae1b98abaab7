"""Plugs the engine into pytest; there is nothing else to configure here."""

pytest_plugins = ["conformance.engine.plugin"]
