"""How fast the server is, measured beside another one: ``python -m benchmarks``.

``docs/benchmarks.md`` tells how to run it and how to read the table.
"""
