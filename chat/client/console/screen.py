"""The terminal: lines above, the prompt below, a bar at the bottom."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from getpass import getpass

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.output import create_output
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style

from .orders import COMMANDS, Arity, Names, quoted
from .view import MARKS, PLAIN_MARKS, STYLES, Line


class CommandCompleter(Completer):
    """Completes commands, and the names that they take."""

    def __init__(self, names: Callable[[Names], list[str]]) -> None:
        self._names = names

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        typed = document.text_before_cursor.lstrip()
        if not typed.startswith("/") or typed.startswith("//"):
            return
        word, space, rest = typed[1:].partition(" ")
        if not space:
            for command in COMMANDS.values():
                if command.name.startswith(word):
                    yield Completion(
                        f"/{command.name}",
                        start_position=-len(typed),
                        display_meta=command.what,
                    )
            return
        known = COMMANDS.get(word)
        if known is None:
            return
        for name in self._names(known.names):
            whole = quoted(name) if known.arity is Arity.AND_TEXT else name
            bare = rest.lstrip("#\"'").casefold()
            if name.lstrip("#").casefold().startswith(bare) and whole.isprintable():
                yield Completion(whole, start_position=-len(rest))


class Screen:
    """What stands on the terminal, and what is typed.

    :param prompt: the prompt, whenever it is drawn.
    :param bar: the bar at the bottom, whenever it is drawn.
    :param names: names to complete with.
    :param typing: called whenever what is typed has changed.
    """

    def __init__(
        self,
        prompt: Callable[[], Line],
        bar: Callable[[], Line],
        names: Callable[[Names], list[str]],
        typing: Callable[[str], None],
    ) -> None:
        self._output = create_output(sys.stdout)
        self._style = Style.from_dict(STYLES)
        self._session: PromptSession[str] = PromptSession(
            message=lambda: FormattedText(prompt()),
            bottom_toolbar=lambda: FormattedText(bar()),
            completer=CommandCompleter(names),
            complete_while_typing=Condition(
                lambda: self._session.default_buffer.text.startswith("/")
            ),
            history=InMemoryHistory(),
            style=self._style,
            output=self._output,
            erase_when_done=True,
            reserve_space_for_menu=6,
            refresh_interval=1.0,
        )
        self._session.default_buffer.on_text_changed += lambda buffer: typing(buffer.text)
        self._pending: list[tuple[Line, asyncio.Future[None]]] = []
        self._printing: asyncio.Task[None] | None = None

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return self._output.get_size().columns

    @property
    def marks(self) -> dict[str, str]:
        """Delivery marks that this terminal can show."""
        return MARKS if self._output.encoding().lower().startswith("utf") else PLAIN_MARKS

    def show(self, *lines: Line) -> asyncio.Future[None]:
        """Put lines above the prompt; done when the last of them stands there."""
        loop = asyncio.get_running_loop()
        shown = loop.create_future()
        for line in lines:
            shown = loop.create_future()
            self._pending.append((line, shown))
        if not lines:
            shown.set_result(None)
        elif self._printing is None or self._printing.done():
            self._printing = loop.create_task(self._print())
        return shown

    async def flush(self) -> None:
        """Wait until all lines stand on the screen."""
        if self._printing is not None:
            await self._printing

    def refresh(self) -> None:
        """Draw the prompt and the bar again."""
        self._session.app.invalidate()

    async def ask(self) -> str:
        """The next line that is typed.

        :raises EOFError: Ctrl-D on an empty line, or the terminal is gone.
        :raises KeyboardInterrupt: Ctrl-C.
        """
        with patch_stdout():
            return await self._session.prompt_async()

    async def ask_secret(self, question: str) -> str:
        """A line that is typed without being seen."""
        return await run_in_terminal(lambda: getpass(question), in_executor=True)

    async def _print(self) -> None:
        while self._pending:
            pending, self._pending = self._pending, []
            if self._session.app.is_running:
                await run_in_terminal(lambda pending=pending: self._write(pending))  # type: ignore[misc]
            else:
                self._write(pending)
            for _, shown in pending:
                if not shown.done():
                    shown.set_result(None)

    def _write(self, pending: list[tuple[Line, asyncio.Future[None]]]) -> None:
        fragments: Line = []
        for line, _ in pending:
            fragments += [*line, ("", "\n")]
        print_formatted_text(self._output, FormattedText(fragments), self._style)
