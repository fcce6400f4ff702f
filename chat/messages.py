"""The vocabulary: one Struct for each request that a client may send.

``docs/protocol.md`` describes each message with its answer.  A request is decoded and validated in
one step by :mod:`chat.wire`; bounds that stand in a type here are the wire's own, all others are
tested by the rules.  ``Any`` stands where the original's clients write what they like and the
server puts its own value in place.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, Meta, UnsetType


class MsgId(IntEnum):
    """What a line is about.  1 to 10 are the original's."""

    LOGIN = 1
    LOGIN_ACK = 2
    REG = 3
    REG_ACK = 4
    ONE_CHAT = 5
    ADD_FRIEND = 6
    CREATE_GROUP = 7
    ADD_GROUP = 8
    GROUP_CHAT = 9
    LOGINOUT = 10
    ACK = 11
    RECEIVED = 12
    PING = 13
    PONG = 14
    FRIEND_REQUEST = 15
    FRIEND_ANSWER = 16
    REMOVE_FRIEND = 17
    BLOCK = 18
    LEAVE_GROUP = 19
    REMOVE_MEMBER = 20
    HAND_OVER = 21
    FRIENDS = 22
    REQUESTS = 23
    BLOCKED = 24
    GROUPS = 25
    MEMBERS = 26
    FIND_USER = 27
    PRESENCE = 28
    TYPING = 29
    READ = 30
    HISTORY = 31
    CONVERSATIONS = 32
    MEMBERSHIP = 33
    PASSWORD = 34
    TOKENS = 35
    REVOKE = 36
    DELETE_ACCOUNT = 37
    NOTICE = 38


MAX_ID = 2**63 - 1

Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
OptionalId = Id | UnsetType
Cid = Annotated[str, Meta(min_length=1, max_length=64)]
OptionalCid = Cid | UnsetType
After = Annotated[int, Meta(ge=0, le=MAX_ID)]
Limit = Annotated[int, Meta(ge=1, le=500)]


class Request(msgspec.Struct, tag_field="msgid", gc=False, kw_only=True):
    """What all requests share: a ``cid``, with which their answer comes back."""

    plain_quotes: ClassVar[int] = 0
    """How many ``"`` a line of this kind has when it holds only its required fields without
    ``cid``: a line with as many hides nothing that the typed decode skipped.  0: look closer."""

    cid: OptionalCid = UNSET


class Login(Request, tag=1):
    """``{"msgid":1,"id":7,"password":"…"}``; level 2: ``"proto":2`` and what follows here."""

    id: Id
    password: str | UnsetType = UNSET
    proto: Annotated[int, Meta(ge=1)] = 1
    takeover: Any = False
    token: Any = UNSET


class Reg(Request, tag=3):
    """``{"msgid":3,"name":"bob","password":"…"}``; ``invite`` where the server asks for one."""

    name: str
    password: str
    invite: Any = UNSET


class OneChat(Request, tag=5):
    """``{"msgid":5,"toid":8,"msg":"hi","id":7,"name":"bob","time":"…"}``, and any other fields."""

    toid: Id
    msg: str
    id: OptionalId = UNSET
    name: Any = UNSET
    time: Any = UNSET
    seq: Any = UNSET


class AddFriend(Request, tag=6):
    """``{"msgid":6,"friendid":8}``: a friend at once and in one direction, as in the original."""

    friendid: Id
    id: OptionalId = UNSET


class CreateGroup(Request, tag=7):
    """``{"msgid":7,"groupname":"tea","groupdesc":"five o'clock"}``."""

    groupname: str
    groupdesc: str = ""
    id: OptionalId = UNSET


class AddGroup(Request, tag=8):
    """``{"msgid":8,"groupid":3}``: join a group."""

    groupid: Id
    id: OptionalId = UNSET


class GroupChat(Request, tag=9):
    """``{"msgid":9,"groupid":3,"msg":"hi all"}``, and as :class:`OneChat`."""

    groupid: Id
    msg: str
    id: OptionalId = UNSET
    name: Any = UNSET
    time: Any = UNSET
    seq: Any = UNSET


class LogOut(Request, tag=10):
    """``{"msgid":10}``: the connection stays open and may log in again."""

    id: OptionalId = UNSET


class Received(Request, tag=12):
    """``{"msgid":12,"seq":3}``: every delivery up to the third has been received."""

    plain_quotes = 4

    seq: Annotated[int, Meta(ge=0, le=MAX_ID)]


class Ping(Request, tag=13):
    """``{"msgid":13}``, answered by a PONG_MSG with the same ``cid``, before login too."""

    plain_quotes = 2


class Pong(Request, tag=14):
    """``{"msgid":14}``: the answer to the server's ping."""

    plain_quotes = 2


class AskFriend(Request, tag=15):
    """``{"msgid":15,"friendid":8,"note":"it's me"}``: the other side accepts or declines."""

    friendid: Id
    note: Annotated[str, Meta(max_length=200)] = ""


class AnswerFriend(Request, tag=16):
    """``{"msgid":16,"friendid":7,"accept":true}``: the answer to a request."""

    friendid: Id
    accept: bool


class RemoveFriend(Request, tag=17):
    """``{"msgid":17,"friendid":8}``: the friendship ends, for both."""

    friendid: Id


class Block(Request, tag=18):
    """``{"msgid":18,"userid":8,"block":true}``; ``false`` takes it back."""

    userid: Id
    block: bool = True


class LeaveGroup(Request, tag=19):
    """``{"msgid":19,"groupid":3}``; a creator hands the group over first, unless alone in it."""

    groupid: Id


class RemoveMember(Request, tag=20):
    """``{"msgid":20,"groupid":3,"userid":8}``, by the creator."""

    groupid: Id
    userid: Id


class HandOver(Request, tag=21):
    """``{"msgid":21,"groupid":3,"userid":8}``, by the creator: that member is it now."""

    groupid: Id
    userid: Id


class ListFriends(Request, tag=22):
    """``{"msgid":22,"after":0,"limit":100}``: ``friends``, by id, and ``more``."""

    after: After = 0
    limit: Limit = 100


class ListRequests(Request, tag=23):
    """``{"msgid":23}``: ``requests`` that wait for one's answer, and ``more``."""

    after: After = 0
    limit: Limit = 100


class ListBlocked(Request, tag=24):
    """``{"msgid":24}``: ``blocked``."""


class ListGroups(Request, tag=25):
    """``{"msgid":25,"after":0,"limit":100}``: ``groups`` and ``more``."""

    after: After = 0
    limit: Limit = 100


class ListMembers(Request, tag=26):
    """``{"msgid":26,"groupid":3,"after":0,"limit":100}``: ``members`` and ``more``."""

    groupid: Id
    after: After = 0
    limit: Limit = 100


class FindUser(Request, tag=27):
    """``{"msgid":27,"name":"bob"}`` or ``{"msgid":27,"userid":8}``: ``user``."""

    name: str | UnsetType = UNSET
    userid: OptionalId = UNSET


class Presence(Request, tag=28):
    """``{"msgid":28,"watch":true}``: from now on the friends' comings and goings are pushed."""

    watch: bool = True


class Typing(Request, tag=29):
    """``{"msgid":29,"toid":8}`` or with ``groupid``: passed on to who is online, never stored."""

    toid: OptionalId = UNSET
    groupid: OptionalId = UNSET
    typing: bool = True


class Read(Request, tag=30):
    """``{"msgid":30,"toid":8,"upto":"CID"}`` or with ``groupid``: read up to that message."""

    upto: Cid
    toid: OptionalId = UNSET
    groupid: OptionalId = UNSET


class AskHistory(Request, tag=31):
    """``{"msgid":31,"toid":8,"before":0,"limit":50}`` or with ``groupid``; 0: from the newest."""

    toid: OptionalId = UNSET
    groupid: OptionalId = UNSET
    before: After = 0
    limit: Limit = 50


class ListConversations(Request, tag=32):
    """``{"msgid":32,"before":0}``: ``conversations`` with the newest line of each, newest first; 0:
    from the newest."""

    before: After = 0
    limit: Limit = 100


class ChangePassword(Request, tag=34):
    """``{"msgid":34,"password":"old","newpassword":"new"}``."""

    password: str
    newpassword: str


class ListTokens(Request, tag=35):
    """``{"msgid":35}``: ``tokens``."""


class Revoke(Request, tag=36):
    """``{"msgid":36,"token":5}``: by the id that ``tokens`` shows."""

    token: Id


class DeleteAccount(Request, tag=37):
    """``{"msgid":37,"password":"…"}``: the account and what is about it is gone."""

    password: str


Chat = OneChat | GroupChat

AnyRequest = (
    Login | Reg | OneChat | AddFriend | CreateGroup | AddGroup | GroupChat | LogOut
    | Received | Ping | Pong
    | AskFriend | AnswerFriend | RemoveFriend | Block | LeaveGroup | RemoveMember | HandOver
    | ListFriends | ListRequests | ListBlocked | ListGroups | ListMembers
    | FindUser | Presence | Typing | Read | AskHistory | ListConversations
    | ChangePassword | ListTokens | Revoke | DeleteAccount
)  # fmt: skip
