"""Abuse of a real server while honest people talk: a short form in ``make test``, and a long one,
``make abuse``.

Attackers are a process of their own at the lowest priority: elsewhere they would bring their own
processors, and what is measured is what they take of the server's.

Both forms compare the honest messages' times under attack with those of the same run before it.
The long form, which wants a machine to itself, takes them as they are: 99 of 100 within twice the
idle time and 20 ms.  The short one must pass on a machine that has much else to do, where not even
their median says anything of the server (2 and 43 ms, with 15 others waiting for two processors).
It leaves out the time that the server and the people were ready to run and had no processor, which
the kernel counts (:class:`~.honest.Queues`): what is left, 1 and 2 ms in the same run, is what the
server itself makes people wait for, and of that it compares 99 of 100.
"""
