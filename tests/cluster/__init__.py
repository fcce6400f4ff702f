"""The proof of several nodes: real processes, killed, stopped and cut off while people talk.

The people and the ledgers are those of :mod:`tests.faults`; here they come in through HAProxy, or
through any node, and hop.  :mod:`.world` has the processes, :mod:`.balancer` the one in front.
"""
