"""People at their browsers: finding each other, talking, going away and coming back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import WebSocketRoute, expect

from .support import PASSWORD, PATIENCE, BrowserCase, Person, Server

MOST = 160
"""Messages that are on a page at a time."""

SCROLL_TO_THE_BEGINNING = """async () => {
    const timeline = document.querySelector(".timeline");
    let most = 0;
    while (document.querySelector(".item .text").textContent !== "message 0") {
        timeline.scrollTop = 0;
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        most = Math.max(most, document.querySelectorAll(".item").length);
    }
    return most;
}"""
"""Answers with the number of messages that were on the page at a time."""

NOTHING_UNSENT = "() => !Object.keys(localStorage).some((key) => key.includes(':out:'))"

NO_SERVER = ("WebSocket connection to", "net::ERR_CONNECTION_REFUSED")
"""What Chromium writes to the console when nobody listens."""


class PairTests(BrowserCase):
    def test_they_find_each_other_and_talk(self) -> None:
        ann, bob = self.pair()
        ann.go("Friends")
        expect(ann.friend("Bob").locator(".preview")).to_have_text("online")

        ann.friend("Bob").click()
        ann.say("Hello Bob")
        expect(bob.chat("Ann").locator(".badge")).to_have_text("1")
        expect(bob.chat("Ann")).to_contain_text("Hello Bob")
        ann.has_mark("Hello Bob", "Delivered")
        bob.enter("Ann")
        bob.sees("Hello Bob")
        expect(bob.page.locator(".rail .badge").first).to_be_hidden()
        ann.has_mark("Hello Bob", "Read")

        bob.page.locator(".composer textarea").press_sequentially("Hi")
        expect(ann.page.locator(".typing-line")).to_have_text("Bob is typing…")
        bob.say("Hi Ann")
        ann.sees("Hi Ann")
        expect(ann.page.locator(".typing-line")).to_have_text("")
        bob.has_mark("Hi Ann", "Read")

    def test_one_goes_away_and_comes_back(self) -> None:
        ann, bob = self.pair()
        ann.talk_to("Bob")
        bob.page.close()
        expect(ann.page.locator(".about .preview")).to_have_text("offline")
        for number in range(3):
            ann.say(f"While you were away {number}")
        ann.has_mark("While you were away 2", "Sent")

        bob.open()
        bob.is_online()
        expect(bob.chat("Ann").locator(".badge")).to_have_text("3")
        expect(ann.page.locator(".about .preview")).to_have_text("online")
        bob.enter("Ann")
        for number in range(3):
            bob.sees(f"While you were away {number}")
        ann.say("Welcome back")
        bob.sees("Welcome back")
        ann.has_mark("Welcome back", "Read")
        ann.has_mark("While you were away 0", "Read")

    def test_reload_in_mid_conversation(self) -> None:
        ann, bob = self.pair()
        ann.talk_to("Bob")
        ann.say("One")
        bob.enter("Ann")
        bob.say("Two")
        ann.sees("Two")
        ann.page.locator(".composer textarea").fill("half a sent")

        ann.page.reload()
        ann.is_online()
        ann.is_in("Bob")
        expect(ann.page.locator(".composer textarea")).to_have_value("half a sent")
        bob.say("Three")
        ann.sees("Three")
        self.assertEqual(ann.last_texts(3), ["One", "Two", "Three"])
        ann.page.locator(".composer textarea").press("Enter")
        bob.sees("half a sent")

    def test_server_is_restarted_under_them(self) -> None:
        ann, bob = self.pair()
        ann.talk_to("Bob")
        ann.say("Before")
        bob.enter("Ann")
        bob.sees("Before")
        for one in (ann, bob):
            one.expected += NO_SERVER
        self.server.stop()
        for one in (ann, bob):
            expect(one.page.locator(".banner")).to_be_visible()
        ann.say("In between 1")
        ann.say("In between 2")
        ann.has_mark("In between 2", "Sending")

        self.server.start()
        for one in (ann, bob):
            one.is_online()
            expect(one.page.locator(".banner")).to_be_hidden()
        bob.sees("In between 2")
        self.assertEqual(bob.last_texts(3), ["Before", "In between 1", "In between 2"])
        ann.has_mark("In between 1", "Delivered", "Read")
        bob.say("After")
        ann.sees("After")

    def test_unsent_messages_outlive_a_reload(self) -> None:
        ann, bob = self.pair()
        ann.talk_to("Bob")
        # The server goes away, and when it comes back her connections are cut at once.
        for one in (ann, bob):
            one.expected += NO_SERVER
        self.server.stop()
        expect(bob.page.locator(".banner")).to_be_visible()
        ann.say("Written without a connection")
        ann.has_mark("Written without a connection", "Sending")
        sockets = re.compile(r"/ws$")
        ann.context.route_web_socket(sockets, lambda socket: socket.close())
        self.server.start()
        bob.is_online()
        ann.page.reload()
        expect(ann.page.locator(".banner")).to_be_visible()
        ann.has_mark("Written without a connection", "Sending")
        ann.context.route_web_socket(sockets, lambda socket: socket.connect_to_server())
        ann.page.reload()
        ann.is_online()
        expect(bob.chat("Ann")).to_contain_text("Written without a connection")
        ann.has_mark("Written without a connection", "Delivered")

    def test_the_history_comes_later_than_what_was_sent_meanwhile(self) -> None:
        ann, bob = self.pair()
        ann.talk_to("Bob")
        ann.say("Long ago")
        ann.has_mark("Long ago", "Delivered", "Read")
        for one in (ann, bob):
            one.expected += NO_SERVER
        self.server.stop()
        expect(bob.page.locator(".banner")).to_be_visible()
        ann.say("Sent before the history came")
        held: list[str | bytes] | None = []

        def meet(socket: WebSocketRoute) -> None:
            server = socket.connect_to_server()
            socket.on_message(server.send)

            def pass_on(message: str | bytes) -> None:
                if held is not None and '"ack":31' in str(message):
                    held.append(message)
                else:
                    socket.send(message)

            server.on_message(pass_on)
            sockets.append(socket)

        sockets: list[WebSocketRoute] = []
        address = re.compile(r"/ws$")
        ann.context.route_web_socket(address, meet)
        self.server.start()
        bob.is_online()
        ann.page.reload()
        ann.is_online()
        # What is not answered yet is kept there; nothing is shown before the history is here.
        ann.page.wait_for_function(NOTHING_UNSENT)
        late, held = held, None
        for message in late or ():
            sockets[-1].send(message)
        expect(ann.bubble("Long ago")).to_be_visible()
        ann.has_mark("Sent before the history came", "Sent", "Delivered", "Read")
        ann.context.route_web_socket(address, lambda socket: socket.connect_to_server())
        ann.page.reload()
        ann.is_online()
        bob.enter("Ann")
        bob.sees("Sent before the history came")

    def test_keyboard_alone(self) -> None:
        ann, bob = self.pair()
        bob.talk_to("Ann")
        bob.say("Type to me")
        page = ann.page
        expect(ann.chat("Bob")).to_contain_text("Type to me")
        page.keyboard.press("Control+k")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        ann.is_in("Bob")
        expect(page.locator(".composer textarea")).to_be_focused()
        page.keyboard.type("With")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("two lines")
        page.keyboard.press("Enter")
        bob.sees("With\ntwo lines")
        page.keyboard.press("Escape")
        expect(page.get_by_role("heading", name="Your messages live here")).to_be_visible()

    def test_width_of_a_phone(self) -> None:
        ann, bob = self.pair()
        usual = bob.page.viewport_size
        assert usual is not None
        ann.talk_to("Bob")
        ann.say("A long word: " + "x" * 200)
        try:
            bob.page.set_viewport_size({"width": 390, "height": 844})
            for tab in ("Friends", "Groups", "Chats"):
                bob.go(tab)
                self.fits(bob)
            bob.enter("Ann")
            bob.sees("A long word: " + "x" * 200)
            self.fits(bob)
            expect(bob.page.locator(".rail")).to_be_hidden()
            bob.page.get_by_role("link", name="Back").click()
            expect(bob.page.locator(".rail")).to_be_visible()
            expect(bob.page.locator(".room")).to_be_hidden()
            bob.page.go_back()
            bob.is_in("Ann")
        finally:
            bob.page.set_viewport_size(usual)

    def fits(self, person: Person) -> None:
        """Nothing sticks out to the side."""
        wide = person.page.evaluate("document.documentElement.scrollWidth")
        self.assertEqual(wide, 390)


class AccountTests(BrowserCase):
    def test_one_account_in_two_places(self) -> None:
        ann = self.person("Dora")
        other = self.person()
        other.page.get_by_label("Your name").fill("Dora")
        other.page.get_by_label("Password", exact=True).fill("secret")
        other.page.get_by_role("button", name="Create account").click()
        alert = other.page.get_by_role("alert")
        expect(alert).to_have_text("This name is taken or not allowed.")
        other.log_in(ann.id, "wrong")
        expect(alert).to_have_text("That number and password do not match.")
        other.log_in(ann.id)
        elsewhere = other.page.get_by_role("heading", name="Open somewhere else")
        expect(elsewhere).to_be_visible()
        other.page.get_by_role("button", name="Use it here").click()
        other.is_online()
        expect(ann.page.get_by_role("heading", name="Open somewhere else")).to_be_visible()

        other.page.get_by_role("button", name="Account: Dora").click()
        other.page.get_by_role("button", name="Log out").click()
        expect(other.page.get_by_role("heading", name="Welcome back, Dora")).to_be_visible()
        other.page.reload()
        expect(other.page.get_by_label("Your number")).to_have_value(ann.id)
        ann.page.get_by_role("button", name="Use it here").click()
        ann.is_online()

    def test_password_places_and_blocking(self) -> None:
        eve, (_, bob) = self.person("Eve"), self.pair()
        page = eve.page
        account = page.get_by_role("button", name="Account: Eve")
        account.click()
        page.get_by_role("button", name="Change password").click()
        card = page.get_by_role("dialog", name="Change password")
        card.get_by_label("Present password").fill("wrong")
        card.get_by_label("New password").fill("battery staple")
        card.get_by_role("button", name="Change password").click()
        expect(card.get_by_role("alert")).to_have_text("This is not your present password.")
        card.get_by_label("Present password").fill(PASSWORD)
        card.get_by_role("button", name="Change password").click()
        expect(page.locator(".toast")).to_have_text(re.compile("^Password changed"))
        page.reload()
        eve.is_online()
        account.click()
        page.get_by_role("button", name="Where you are logged in").click()
        expect(page.get_by_role("dialog").locator(".member")).to_have_count(1)
        expect(page.get_by_role("dialog").locator(".member")).to_contain_text("this browser")
        page.keyboard.press("Escape")

        eve.befriend(bob)
        card = eve.find("Bob")
        card.get_by_role("button", name="Block").click()
        page.get_by_role("dialog", name="Block Bob?").get_by_role("button", name="Block").click()
        expect(card).to_be_hidden()
        bob.friend("Eve").click()
        bob.say("Can you hear me?")
        bob.has_mark("Can you hear me?", "Sent")
        page.get_by_role("button", name="Blocked people").click()
        page.get_by_role("button", name="Unblock").click()
        page.keyboard.press("Escape")
        bob.say("And now?")
        expect(eve.page.locator(".rail .badge").first).to_have_text("1")
        card = eve.find("Bob")
        card.get_by_role("button", name="Remove friend").click()
        page.get_by_role("dialog", name="Remove Bob").get_by_role(
            "button", name="Remove friend"
        ).click()
        for one, other in ((eve, "Bob"), (bob, "Eve")):
            one.go("Friends")
            expect(one.friend(other)).to_be_hidden()

    def test_the_end_of_an_account(self) -> None:
        zoe, (_, bob) = self.person("Zoe"), self.pair()
        zoe.befriend(bob)
        page = zoe.page
        page.get_by_role("button", name="Account: Zoe").click()
        page.get_by_role("button", name="Delete account").click()
        card = page.get_by_role("dialog", name="Delete account")
        expect(card).to_contain_text("With your account go 1 friend and 0 memberships in groups")
        password = card.get_by_label("Present password")
        go = card.get_by_role("button", name="Delete account")
        sure = page.get_by_role("dialog", name="Delete Zoe for good?")

        password.fill(PASSWORD)
        go.click()
        sure.get_by_role("button", name="Cancel").click()
        expect(sure).to_be_hidden()
        password.fill("wrong")
        go.click()
        sure.get_by_role("button", name="Delete for good").click()
        expect(card.get_by_role("alert")).to_have_text("This is not your present password.")
        password.fill(PASSWORD)
        go.click()
        sure.get_by_role("button", name="Delete for good").click()

        gone = page.get_by_role("dialog", name="Zoe is gone")
        expect(gone.get_by_role("listitem").filter(has_text="1 friend")).to_be_visible()
        expect(gone.get_by_role("listitem").filter(has_text="1 login")).to_be_visible()
        gone.locator(".primary").click()
        expect(page.get_by_role("heading", name="Nice to meet you")).to_be_visible()
        self.assertEqual(page.evaluate("Object.keys(localStorage)"), [])
        zoe.log_in(zoe.id)
        expect(page.get_by_role("alert")).to_have_text("That number and password do not match.")
        bob.page.reload()
        bob.is_online()
        bob.go("Friends")
        expect(bob.friend("Ann")).to_be_visible()
        expect(bob.friend("Zoe")).to_be_hidden()

    def test_chinese(self) -> None:
        page = self.person(locale="zh-CN").page
        page.get_by_label("你的名字").fill("林小雨")
        page.get_by_label("密码", exact=True).fill("secret")
        page.get_by_role("button", name="注册", exact=True).click()
        page.get_by_role("button", name="开始聊天").click()
        expect(page.get_by_role("link", name="好友")).to_be_visible()
        self.assertEqual(page.evaluate("document.documentElement.lang"), "zh")


class StrangerTests(BrowserCase):
    def elsewhere(self, registration: str) -> Server:
        """Another server, where not everybody may register."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        server = Server(folder, f"--registration={registration}")
        server.start()
        self.addCleanup(server.stop)
        return server

    def register(self, person: Person) -> None:
        """Fill in the form without a code."""
        person.page.get_by_label("Your name").fill("Ivy")
        person.page.get_by_label("Password", exact=True).fill(PASSWORD)
        person.page.get_by_role("button", name="Create account").click()

    def test_who_is_invited(self) -> None:
        server = self.elsewhere("invite")
        done = subprocess.run(
            [sys.executable, "-m", "chat.admin.main", "--database", server.database, "--json",
             "invites", "create"],
            check=True, capture_output=True, timeout=PATIENCE,
        )  # fmt: skip
        ivy = self.person(url=server.url)
        alert = ivy.page.get_by_role("alert")
        code = ivy.page.get_by_label("Invite code")
        expect(code).to_be_hidden()
        self.register(ivy)
        expect(alert).to_have_text("To register here you need an invite code.")
        expect(code).to_be_focused()
        code.fill("let me in")
        code.press("Enter")
        expect(alert).to_have_text("This invite code is not valid, or has been used up.")
        code.fill(json.loads(done.stdout)["code"])
        code.press("Enter")
        ivy.page.get_by_role("button", name="Start chatting").click()
        ivy.is_online()

        other = self.person(url=server.url)
        other.page.get_by_role("button", name="I have an invite code").click()
        other.page.get_by_label("Invite code").fill(json.loads(done.stdout)["code"])
        self.register(other)
        alert = other.page.get_by_role("alert")
        expect(alert).to_have_text("This name is taken or not allowed.")

    def test_nobody_may(self) -> None:
        server = self.elsewhere("closed")
        ivy = self.person(url=server.url)
        self.register(ivy)
        expect(ivy.page.get_by_role("alert")).to_contain_text("Nobody can register here.")
        ivy.log_in("1")
        alert = ivy.page.get_by_role("alert")
        expect(alert).to_have_text("That number and password do not match.")


class GroupTests(BrowserCase):
    def test_three(self) -> None:
        (ann, bob), eve = self.pair(), self.person("Carol")
        ann.go("Groups")
        ann.page.get_by_role("button", name="New group").click()
        ann.page.get_by_label("Name", exact=True).fill("Tea")
        ann.page.get_by_role("button", name="Create group").click()
        card = ann.page.get_by_role("dialog", name="Tea")
        number = card.locator(".number b").inner_text()
        card.get_by_role("button", name="Close").click()
        for one in (bob, eve):
            one.go("Groups")
            one.page.get_by_role("button", name="Join a group").click()
            one.page.get_by_label("A group's number").fill(number)
            one.page.get_by_role("button", name="Join", exact=True).click()
            one.is_in("Tea")
        expect(ann.page.locator(".about .preview")).to_have_text("3 members")
        ann.say("Who is here?")
        bob.sees("Who is here?")
        eve.sees("Who is here?")
        ann.has_mark("Who is here?", "Delivered")
        bob.say("Bob is")
        for one in (ann, eve):
            one.sees("Bob is")
            expect(one.bubble("Bob is").locator(".who")).to_have_text("Bob")

        ann.page.locator(".about").click()
        row = card.get_by_role("listitem").filter(has_text="Carol")
        row.get_by_role("button", name="Remove").click()
        ann.page.get_by_role("dialog", name="Remove Carol").get_by_role(
            "button", name="Remove"
        ).click()
        expect(card.get_by_role("listitem")).to_have_count(2)
        expect(eve.page.get_by_text("You are not in this group.")).to_be_visible()
        expect(eve.page.locator(".composer")).to_be_hidden()

        row = card.get_by_role("listitem").filter(has_text="Bob")
        row.get_by_role("button", name="Make creator").click()
        ann.page.get_by_role("dialog", name="Hand the group over").get_by_role(
            "button", name="Make creator"
        ).click()
        expect(card.get_by_role("listitem").filter(has_text="Bob")).to_contain_text("creator")
        card.get_by_role("button", name="Leave group").click()
        ann.page.get_by_role("dialog", name="Leave Tea?").get_by_role(
            "button", name="Leave group"
        ).click()
        ann.go("Groups")
        expect(ann.page.get_by_role("heading", name="No groups yet")).to_be_visible()
        expect(bob.page.locator(".item.event").last).to_have_text("Ann left")


class StrangeTests(BrowserCase):
    def test_markup_stays_text(self) -> None:
        name = '<img src=x onerror="alert(1)">'
        texts = [
            "<script>alert(2)</script>",
            "<b>bold</b> & <i>so on</i>",
            '"><svg onload=alert(3)>',
            "javascript:alert(4) {{7*7}} ${7*7}",
            "https://example.org/?q=<script>&x='\"",
        ]
        eve, (_, bob) = self.person(name), self.pair()
        eve.befriend(bob)
        eve.friend("Bob").click()
        bob.friend(name).click()
        for text in texts:
            eve.say(text)
            bob.sees(text)
        for one in (eve, bob):
            for tag in ("img", "script:not([src])", ".item b", ".item svg[onload]", "[onerror]"):
                self.assertEqual(one.page.locator(tag).count(), 0, tag)
        links = bob.page.locator(".item a")
        expect(links).to_have_count(1)
        expect(links).to_have_attribute("href", "https://example.org/?q=")
        expect(links).to_have_attribute("rel", "noopener noreferrer")
        bob.page.reload()
        bob.is_in(name)
        self.assertEqual(bob.page.locator("img").count(), 0)

    def test_five_thousand_messages(self) -> None:
        number = 5000
        ann, _ = self.pair()
        with self.server.lines() as wire, wire.makefile("rwb") as lines:

            def ask(**message: object) -> dict[str, object]:
                lines.write(json.dumps(message).encode() + b"\n")
                lines.flush()
                answer: dict[str, object] = json.loads(lines.readline())
                return answer

            bob = ask(msgid=3, name="Sam", password="secret")["id"]
            ask(msgid=1, id=bob, password="secret", proto=2)
            ann.page.evaluate(f"location.hash = '#/u/{bob}'")
            ann.is_in("Sam")
            for at in range(number):
                text = f"message {at}"
                said = {"msgid": 5, "toid": int(ann.id), "msg": text, "cid": str(at)}
                lines.write(json.dumps(said).encode() + b"\n")
            lines.flush()
            for _ in range(number):
                lines.readline()
        ann.sees(f"message {number - 1}")
        self.assertLessEqual(ann.page.locator(".item").count(), MOST)
        self.assertLessEqual(ann.page.evaluate(SCROLL_TO_THE_BEGINNING), MOST)
        expect(ann.page.locator(".item .text").first).to_have_text("message 0")
        ann.page.get_by_role("button", name="To the newest message").click()
        ann.sees(f"message {number - 1}")
        expect(ann.page.get_by_role("button", name="To the newest message")).to_be_hidden()
