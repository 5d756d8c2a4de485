"""The version, where both the package and its metadata find it."""

__version__ = "0.1.0"
