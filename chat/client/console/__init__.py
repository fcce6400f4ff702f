"""``chat``: the library in a terminal.

``chat`` talks, ``chat send`` and ``chat listen`` are for pipes, ``chat register`` makes an account;
``docs/client.md`` describes them.  :mod:`~chat.client.console.main` reads the command line.
"""
