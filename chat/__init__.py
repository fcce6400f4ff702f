"""A chat server that people run themselves and trust: JSON lines over TCP on Twisted."""

__version__ = "0.1.0"
