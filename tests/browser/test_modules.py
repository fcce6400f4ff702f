"""The page's modules that have rules of their own, run where they will run: in a browser."""

from __future__ import annotations

import functools
from typing import Any

from playwright.sync_api import Page
from twisted.trial.unittest import SynchronousTestCase

from .support import the_browser, the_server

BIG = 2**63 - 1


@functools.cache
def a_page() -> Page:
    """A page with nothing on it."""
    page = the_browser().new_page()
    page.goto(f"{the_server().url}icon.svg")
    return page


class ModuleCase(SynchronousTestCase):
    def run_with(self, module: str, body: str, *args: Any) -> Any:
        """What a function's body answers that has the module as ``m`` and ``args``."""
        script = f"async (args) => {{ const m = await import('/js/{module}.js'); {body} }}"
        return a_page().evaluate(script, list(args))


class JsonTests(ModuleCase):
    def test_ids(self) -> None:
        parse = "return m.parse(args[0]);"
        for text, value in (
            (f'{{"id":{BIG},"msg":"{BIG}"}}', {"id": str(BIG), "msg": str(BIG)}),
            ('{"id":7,"x":[1234567890123456,"a"]}', {"id": 7, "x": ["1234567890123456", "a"]}),
            (r'{"msg":"\"1234567890123456\\","id":1}', {"msg": '"1234567890123456\\', "id": 1}),
            ('{"x":-1234567890123456,"z":2e3}', {"x": -1234567890123456, "z": 2000}),
            ('{"x":0.1234567890123456}', {"x": 0.1234567890123456}),
            ('{"msg":"a 1234567890123456 b"}', {"msg": "a 1234567890123456 b"}),
        ):  # fmt: skip
            self.assertEqual(self.run_with("json", parse, text), value, text)

        write = "return m.stringify(args[0]);"
        for value, text in (
            ({"msgid": 5, "toid": str(BIG), "msg": "7"}, f'{{"msgid":5,"toid":{BIG},"msg":"7"}}'),
            ({"id": "1,2", "name": '"'}, r'{"id":"1,2","name":"\""}'),
            ({"cid": "7", "token": "12"}, '{"cid":"7","token":"12"}'),
        ):
            self.assertEqual(self.run_with("json", write, value), text)


CONVERSATION = """
    const of = (cid, mine = false, login = 0) => ({
        key: `${mine ? 1 : 2} ${cid}`, cid, mine, login, id: mine ? "1" : "2",
        mark: mine ? "stored" : null,
    });
    const one = new m.Conversation("u", "2");
    const cids = () => one.messages.map((message) => message.cid).join("");
    const marks = () => one.messages.map((message) => (message.mark ?? "-")[0]).join("");
"""


class ConversationTests(ModuleCase):
    def merged(self, here: str, page: str, login: int = 2) -> str:
        """``here`` is what the page has, ``page`` what the server's newest page has; capitals came
        in this login."""
        body = CONVERSATION + """
            for (const cid of args[0]) {
                one.append(of(cid.toLowerCase(), false, cid === cid.toLowerCase() ? 1 : 2));
            }
            one.mergeNewest([...args[1]].map((cid) => of(cid)), args[2]);
            if (one.messages.length !== one.byKey.size) return "twice";
            return cids();
        """  # fmt: skip
        return str(self.run_with("conversation", body, here, page, login))

    def test_the_newest_page_joins_what_is_here(self) -> None:
        for here, page, whole in (
            ("", "abc", "abc"),
            ("abc", "", "abc"),
            ("abc", "abc", "abc"),
            ("abc", "bcd", "abcd"),
            ("bc", "abc", "abc"),
            ("ac", "abc", "abc"),
            ("abX", "abc", "abcx"),  # came while the page was asked for, and is not in it yet
            ("aXb", "ab", "axb"),  # was never recorded
            ("abc", "xyz", "xyz"),  # something is missing in between
            ("abX", "cd", "cdx"),
            ("ab", "ba", "ba"),
        ):
            self.assertEqual(self.merged(here, page), whole, (here, page))

    def test_older_pages(self) -> None:
        body = CONVERSATION + """
            for (const cid of "def") one.append(of(cid));
            one.prepend([..."abcd"].map((cid) => of(cid)));
            return cids();
        """  # fmt: skip
        self.assertEqual(self.run_with("conversation", body), "abcdef")

    def test_a_mark_holds_for_what_was_said_before(self) -> None:
        body = CONVERSATION + """
            for (const cid of "abc") one.append(of(cid, true));
            one.append({ ...of("d", true), mark: "failed" });
            one.append(of("e"));
            one.append({ ...of("f", true), mark: "sending" });
            const found = [];
            for (const [cid, mark] of args[0]) {
                one.mark(cid, mark, "1");
                found.push(marks());
            }
            return found;
        """  # fmt: skip
        steps = [("b", "delivered"), ("a", "read"), ("f", "stored"), ("f", "delivered")]
        self.assertEqual(
            self.run_with("conversation", body, steps),
            ["ddsf-s", "rdsf-s", "rdsf-s", "rddf-d"],
        )

    def test_marks_are_known_again_when_the_history_comes(self) -> None:
        body = CONVERSATION + """
            one.read = "a";
            one.got = "b";
            one.mergeNewest([..."abc"].map((cid) => of(cid, true)), 1);
            return marks();
        """  # fmt: skip
        self.assertEqual(self.run_with("conversation", body), "rds")

    def test_what_is_not_looked_at_is_bounded(self) -> None:
        body = CONVERSATION + """
            for (let at = 0; at < 1500; at += 1) one.append(of(String(at)));
            one.loaded = true;
            one.shrink();
            return [one.messages.length, one.byKey.size, one.messages.at(-1).cid, one.loaded];
        """  # fmt: skip
        self.assertEqual(self.run_with("conversation", body), [200, 200, "1499", False])


OUTBOX = """
    const { Emitter } = await import("/js/emitter.js");
    const { Shelf } = await import("/js/storage.js");
    localStorage.clear();
    const sent = [];
    const connection = new Emitter();
    connection.send = (message) => { sent.push(message.cid); return true; };
    const outbox = new m.Outbox(connection);
    const shelf = new Shelf("test");
    outbox.load(shelf);
    const to = { kind: "u", id: "2" };
    const cids = [1, 2, 3].map((text) => outbox.add(to, String(text)).cid);
    const names = () => sent.splice(0).map((cid) => cids.indexOf(cid) + 1).join("");
    const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
"""


class OutboxTests(ModuleCase):
    def test_everything_goes_again_in_its_order(self) -> None:
        body = OUTBOX + """
            outbox.resume();
            const first = names();
            outbox.answer({ cid: cids[1], errno: 0, state: "stored" });
            connection.emit("lost");
            outbox.resume();
            return [first, names(), shelf.unsent().length];
        """  # fmt: skip
        self.assertEqual(self.run_with("outbox", body), ["123", "13", 2])

    def test_busy(self) -> None:
        """The first that was refused comes again first."""
        body = OUTBOX + """
            outbox.resume();
            names();
            for (const cid of cids) outbox.answer({ cid, errno: 108, retry_after: 0.2 });
            const at_once = names();
            while (!sent.length) await pause(10);
            return [at_once, names()];
        """  # fmt: skip
        self.assertEqual(self.run_with("outbox", body), ["", "123"])

    def test_refused(self) -> None:
        body = OUTBOX + """
            outbox.resume();
            names();
            outbox.answer({ cid: cids[0], errno: 109 });
            outbox.suspend();
            outbox.resume();
            const others = names();
            outbox.retry(cids[0]);
            const again = names();
            outbox.suspend();
            outbox.resume();
            return [others, again, names()];
        """  # fmt: skip
        self.assertEqual(self.run_with("outbox", body), ["23", "1", "231"])

    def test_another_tab_of_the_account_takes_them_up(self) -> None:
        body = OUTBOX + """
            const other = new m.Outbox(connection);
            const texts = other.load(new Shelf("test")).map((entry) => entry.text).join("");
            other.resume();
            const went = names();
            for (const cid of cids) other.answer({ cid, errno: 0, state: "delivered" });
            outbox.load(shelf);
            outbox.resume();
            return [texts, went, names()];
        """  # fmt: skip
        self.assertEqual(self.run_with("outbox", body), ["123", "123", ""])
