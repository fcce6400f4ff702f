"""The fast lane: chat messages of one read that need nothing but to be passed on.

What people online say to each other is nearly all of a server's work, so it has a way of its own,
one loop without a call a message where it can be: messages that hold just what the original's
client writes, to somebody whose mailbox is live.  Everything else, and everything that goes wrong,
is left to the ordinary way (:meth:`chat.delivery.Delivery.one_chat`), which does the same, step by
step; ``tests/test_relay.py`` holds the two to the same results.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, MsgspecError, UnsetType

from .copies import Copy, Run
from .delivery import Delivery, Peer
from .mailbox import Mailbox, Phase
from .messages import MsgId, OneChat
from .receipts import Receipt, Sent
from .wire import decode

_LIVE = Phase.LIVE
_ONE_CHAT = int(MsgId.ONE_CHAT)
_PLAIN_QUOTES = 18
"""The quotes of a chat line with id, name and time, none of them in a text."""


class Relay:
    """Passes messages on."""

    def __init__(self, delivery: Delivery, unanswered: int, run_size: int) -> None:
        self._delivery = delivery
        self._unanswered = unanswered
        """Messages of one sender that may be unanswered."""
        self._run_size = run_size
        """Messages, at most, that are taken together."""

    def pass_on(self, me: Peer, lines: Sequence[bytes], at: int, end: int) -> int:
        """Send the messages from ``at`` to ``end`` that can go this way; the index of the next
        line.

        The lines must be UTF-8.
        """
        sender = me.sender
        if sender is None or sender.gates:
            return at
        limit = min(end, at + self._unanswered - sender.unanswered)
        if me.level == 1 and not self._delivery.said:
            at, stopped = self._pass_runs(me, lines, at, limit)
            if stopped:
                return at
        if at < limit:
            at = self._pass_copies(me, lines, at, limit)
        return at

    def _pass_runs(self, me: Peer, lines: Sequence[bytes], at: int, limit: int) -> tuple[int, bool]:
        """Messages without a ``cid`` between level 1 clients; whether the next line is for the
        ordinary way."""
        sender = me.sender
        assert sender is not None
        my_id, my_name = sender.id, sender.name
        mailboxes = self._delivery.mailboxes
        run: list[bytes] = []
        toid = size = 0
        mailbox: Mailbox | None = None
        while at < limit:
            line = lines[at]
            try:
                ask = decode(line)
            except (ValueError, RecursionError, MsgspecError):
                break
            if (
                type(ask) is not OneChat
                or ask.id != my_id
                or ask.name != my_name
                or ask.cid is not UNSET
                or type(ask.time) is not str
                or ask.seq is not UNSET
                or line.count(b'"') != _PLAIN_QUOTES
                or line[-1] != 0x7D
            ):
                break
            if ask.toid != toid or len(run) >= self._run_size:
                if run and not self._send_run(me, mailbox, run, size):
                    return at - len(run), True
                run = []
                size = 0
                toid = ask.toid
                mailbox = mailboxes.get(toid)
                if mailbox is None or mailbox.phase is not _LIVE:
                    return at, True
                receiver = mailbox.receiver
                if receiver is None or receiver.level != 1:
                    return at, False
            run.append(line)
            size += len(line) + 1
            at += 1
        if run and not self._send_run(me, mailbox, run, size):
            return at - len(run), True
        return at, at < limit

    def _send_run(self, me: Peer, mailbox: Mailbox | None, run: list[bytes], size: int) -> bool:
        sender = me.sender
        assert sender is not None and mailbox is not None
        stamps = self._delivery.stamps
        first = stamps.reserve(len(run))
        sender.unanswered += len(run)
        prefix = self._delivery.given_prefix
        if mailbox.send_run(Run(sender.id, first, prefix, run, me.nameless, me.now, 0, size)):
            return True
        sender.unanswered -= len(run)
        return False

    def _pass_copies(self, me: Peer, lines: Sequence[bytes], at: int, limit: int) -> int:
        """Messages that each have a name, their sender's or ours."""
        sender = me.sender
        assert sender is not None
        my_id, my_name = sender.id, sender.name
        mailboxes = self._delivery.mailboxes
        listeners = self._delivery.said
        prefix = self._delivery.given_prefix
        sent_before = sender.sent
        remember = sender.order.append
        now = me.now
        stamp = self._delivery.stamps.reserve(limit - at)
        toid = 0
        mailbox: Mailbox | None = None
        copies: list[Copy] = []
        receipt: Receipt
        cid: str
        while at < limit:
            line = lines[at]
            try:
                ask = decode(line)
            except (ValueError, RecursionError, MsgspecError):
                break
            if (
                type(ask) is not OneChat
                or ask.id != my_id
                or ask.name != my_name
                or type(ask.time) is not str
                or ask.seq is not UNSET
                or line[-1] != 0x7D
            ):
                break
            name = ask.cid
            if name is UNSET:
                if line.count(b'"') != _PLAIN_QUOTES or me.level != 1:
                    break
            elif line.count(b'"') != _PLAIN_QUOTES + 4 or name in sent_before:
                break
            if ask.toid != toid:
                if copies and mailbox is not None:
                    mailbox.send_all(copies)
                    copies = []
                toid = ask.toid
                mailbox = mailboxes.get(toid)
                if mailbox is None or mailbox.phase is not _LIVE:
                    break
            given = isinstance(name, UnsetType)
            if isinstance(name, UnsetType):
                cid = f"{prefix}{stamp}"
                receipt = me.nameless
            else:
                cid = name
                receipt = Sent(sender, me, _ONE_CHAT, toid, cid, hash((_ONE_CHAT, toid, ask.msg)))
                sent_before[cid] = receipt
                remember(receipt)
            sender.unanswered += 1
            copy = Copy(my_id, stamp, cid, given, _ONE_CHAT, line, receipt, now, ask)
            for listener in listeners:
                listener(copy, toid, 0)
            copies.append(copy)
            stamp += 1
            at += 1
        if copies and mailbox is not None:
            mailbox.send_all(copies)
        sender.trim()
        return at
