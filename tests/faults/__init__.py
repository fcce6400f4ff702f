"""The proof of custody: real servers, real databases, killed and stopped while people talk.

:mod:`.ledger` is the check, :mod:`.people` the load, :mod:`.storm` what is done to it.  Nothing
here imports ``chat``: the clients are written from the protocol alone, so that a mistake of the
server's is not repeated by its judge.
"""
