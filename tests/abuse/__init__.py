"""Abuse of a real server while honest people talk: a short form in ``make test``, and a long one,
``make abuse``.

Attackers are a process of their own at the lowest priority: elsewhere they would bring their own
processors, and what is measured is what they take of the server's.
"""
