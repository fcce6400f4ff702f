"""The fast lane: chat messages of one read that need nothing but to be passed on.

What people online say to each other is nearly all of a server's work, so it has a way of its own,
one loop without a call a message where it can be: messages that hold just what the original's
client writes, or the same without its sender's id and name, as our own clients leave them out, and
perhaps a ``cid``, to somebody whose mailbox is live.  Those of one read to one
recipient travel as one :class:`~chat.runs.Run`.  Everything else, and everything that goes wrong,
is left to the ordinary way (:meth:`chat.delivery.Delivery.one_chat`), which does the same, step by
step; ``tests/test_relay.py`` holds the two to the same results.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, MsgspecError, UnsetType
from msgspec.json import Decoder

from .delivery import Delivery, Peer
from .messages import OneChat
from .receipts import SentTogether
from .runs import Run
from .senders import Sender

_FRAME = len('{"msgid":5,"toid":,"msg":"","time":""}')
_CID = len(',"cid":""')
_BARE_QUOTES = 12
_PLAIN_QUOTES = 18
"""The quotes of a chat line with a time, without and with id and name, none of them in a text."""


class _Line(OneChat, tag=False, kw_only=True):
    """Only this request is of use here, which is quicker to know than which one a line is.  A tag
    might be missing where no others are possible: a field may not."""

    msgid: Literal[5]


_decode = Decoder(_Line).decode


class Relay:
    """Passes messages on.

    :param unanswered: messages of one sender that may be unanswered.
    """

    def __init__(self, delivery: Delivery, unanswered: int) -> None:
        self._delivery = delivery
        self.unanswered = unanswered

    def pass_on(self, me: Peer, lines: list[bytes], at: int, end: int) -> int:
        """Send the messages from ``at`` to ``end`` that can go this way; the index of the next
        line.

        The lines must be UTF-8.
        """
        sender = me.sender
        if sender is None or sender.gates:
            return at
        room = self.unanswered - sender.unanswered
        if end - at > room:
            end = at + room
        while at < end:
            count = self._pass_run(me, sender, lines, at, end)
            if not count:
                break
            at += count
        return at

    def _pass_run(self, me: Peer, sender: Sender, lines: list[bytes], start: int, end: int) -> int:
        """Send what goes to one recipient together; how many messages that were.

        That a line holds nothing but what was decoded is seen from its length.  It has each of
        these fields once at least, and none can be written with fewer bytes than here: a key or a
        text has at least a byte for each of its characters, an integer has one spelling, and our
        encoding of the name is the shortest.  So a line of just that length has no other field, no
        field twice, no space and no escape.  A longer one is looked at once more: a text that is
        not ASCII has more bytes than characters.
        """
        line = lines[start]
        try:
            ask = _decode(line)
        except (ValueError, RecursionError, MsgspecError):
            return 0
        toid = ask.toid
        delivery = self._delivery
        mailbox = delivery.mailboxes.get(toid)
        if mailbox is None:
            return 0
        named = ask.cid is not UNSET
        if not named and me.level != 1:
            return 0
        if sender.told is not None and toid not in sender.told:
            return 0
        room = mailbox.room(sender.id)
        if room <= 0:
            return 0
        my_id, my_name, id_field, name_field = sender.fields
        frame = _FRAME + len(f"{toid}")
        written_id: int | UnsetType = my_id
        written_name: str | UnsetType = my_name
        bare = ask.id is UNSET and ask.name is UNSET
        if bare:
            written_id = written_name = UNSET
            quotes = _BARE_QUOTES
        else:
            frame += len(id_field) + len(name_field)
            quotes = _PLAIN_QUOTES
        together = None
        if named:
            frame += _CID
            quotes += 4
            together = SentTogether(sender, me, toid, [], [])
        sent = sender.sent
        at = start
        if end - start > room:
            end = start + room
        while True:
            time = ask.time
            if ask.id != written_id or ask.name != written_name or type(time) is not str:
                break
            cid = ask.cid
            length = frame + len(ask.msg) + len(time)
            if cid is not UNSET:
                if together is None or cid in sent:
                    break
                length += len(cid)
            elif named:
                break
            if len(line) != length and (
                line.count(b'"') != quotes or ask.seq is not UNSET or line[-1] != 0x7D
            ):
                break
            if cid is not UNSET and together is not None:
                sent[cid] = together
                together.cids.append(cid)
                together.hashes.append(hash(ask.msg))
            at += 1
            if at == end:
                break
            line = lines[at]
            try:
                ask = _decode(line)
            except (ValueError, RecursionError, MsgspecError):
                break
            if ask.toid != toid:
                break
        count = at - start
        if not count:
            return 0
        some = lines[start:at]
        if bare:
            missing = id_field + name_field + b"}"
            some = [line[:-1] + missing for line in some]
        sender.unanswered += count
        stamp = delivery.stamps.reserve(count)
        if together is not None:
            together.stamp = stamp
        run = Run(
            my_id, stamp, None if together is None else together.cids,
            delivery.given_prefix, some, me.nameless if together is None else together, me.now,
            count + (len(some[0]) if count == 1 else sum(map(len, some))),
        )  # fmt: skip
        for listener in delivery.said:
            listener(run, toid, 0)
        mailbox.push_run(run)
        if together is not None:
            sender.remember_all(together)
        return count
