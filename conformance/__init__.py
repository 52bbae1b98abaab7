"""A property-based conformance suite for the documented behaviours of PyTorch."""

__version__ = "0.1.0"
