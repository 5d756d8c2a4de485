"""How fast the client is, measured beside the alternatives: ``python -m benchmarks --help``."""
