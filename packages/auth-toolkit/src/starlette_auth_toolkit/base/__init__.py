"""The backends to build on."""
