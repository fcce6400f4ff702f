"""What nodes of neighbouring versions say to each other."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chat.envelopes import (
    VERSION,
    Batch,
    Changed,
    Deleted,
    Entry,
    Envelope,
    Fact,
    Facts,
    Here,
    Hint,
    Look,
    Probe,
    Probed,
    Seen,
    To,
    pack,
    unpack,
)

ALL: tuple[Envelope, ...] = (
    Batch(node=1, entries=[Entry(2, 5, 3, [4], ["cid"], "", [b"{}"], [To(5, 6, 7, 8, True)])]),
    Facts(node=1, facts=[Fact(2, [3, 4], -1, 2)]),
    Look(node=1, user=2, stored=True),
    Here(node=1, user=2, epoch=3),
    Probe(node=1, user=2, epoch=3, takeover=False),
    Probed(node=1, in_use=True),
    Seen(node=1, user=2, name="ann", epoch=3, online=True),
    Hint(node=1, line=b"{}", users=[2], sender=0),
    Changed(node=1, group=2),
    Deleted(node=1, user=2, name="ann", watchers=[3]),
)


class EnvelopesTests(SynchronousTestCase):
    """There and back."""

    def test_each_kind(self) -> None:
        for envelope in ALL:
            self.assertEqual(unpack(pack(envelope)), envelope)

    def test_the_kind_and_the_version_come_first(self) -> None:
        for envelope in ALL:
            kind, version, node = msgspec.msgpack.decode(pack(envelope))[:3]
            self.assertEqual((kind, version, node), (type(envelope).__name__, VERSION, 1))

    def test_fields_of_a_later_version_are_passed_over(self) -> None:
        for envelope in ALL:
            fields = [*msgspec.msgpack.decode(pack(envelope)), "later", {"and": "later"}]
            fields[1] = VERSION + 1
            later = unpack(msgspec.msgpack.encode(fields))
            self.assertIs(type(later), type(envelope))
            later.version = VERSION
            self.assertEqual(later, envelope)

    def test_those_of_an_entry_as_well(self) -> None:
        fields = msgspec.msgpack.decode(pack(ALL[0]))
        fields[3][0].append("later")
        fields[3][0][7][0].append("later")
        self.assertEqual(unpack(msgspec.msgpack.encode(fields)), ALL[0])

    def test_a_kind_of_a_later_version_is_dropped(self) -> None:
        self.assertIsNone(unpack(msgspec.msgpack.encode(["Later", 2, 1])))

    @given(st.binary(max_size=60))
    def test_what_is_none(self, data: bytes) -> None:
        found = unpack(data)
        self.assertTrue(found is None or isinstance(found, Envelope))
