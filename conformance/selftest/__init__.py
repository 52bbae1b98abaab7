"""The tests of this project itself."""
