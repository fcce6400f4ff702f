"""The settings as an operator writes them: options, environment variables, and the manual.

All of it is read off the annotations of :class:`~chat.config.Settings`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Meta

from .config import UNLIMITED, Settings


class Setting(msgspec.Struct, frozen=True):
    """One field of :class:`~chat.config.Settings`."""

    name: str
    type: Any
    """Its annotated type, with the bounds."""
    default: Any
    """None where it depends on the machine."""
    meta: Meta

    @property
    def option(self) -> str:
        """The option, without its dashes."""
        return self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"CHAT_{self.name.upper()}"

    @property
    def group(self) -> str:
        """The heading under which it stands in the manual."""
        return self._extra("group")

    @property
    def unit(self) -> str:
        """What stands for the value in the manual, ``BYTES`` say; empty for a switch."""
        return self._extra("unit")

    @property
    def many(self) -> bool:
        """Whether it may be given several times."""
        return isinstance(self.default, tuple)

    @property
    def wanted(self) -> str:
        """What a value has to be, in words."""
        if self.unit == "":
            return "1 or 0"
        values = get_args(get_args(self.type)[0])
        if get_origin(get_args(self.type)[0]) is Literal:
            return " or ".join(values)
        if self.meta.pattern is not None:
            return "letters, digits, - and _, 64 at most"
        if self.meta.ge is None:
            return "given"
        kind = "a whole number" if get_args(self.type)[0] is int else "a number"
        return f"{kind}, {self._bounds()}"

    def paragraph(self) -> str:
        """Its part of the manual."""
        notes = []
        if self.meta.ge is not None:
            notes.append(self._bounds())
        if self.unit and self.default not in (None, ()):
            shown = " ".join(self.default) if self.many else self.default
            notes.append(f"default {shown:g}" if isinstance(shown, float) else f"default {shown}")
        text = f"{self.meta.description} [{', '.join(notes)}]" if notes else self.meta.description
        head = f"  --{self.option} {self.unit}".rstrip()
        margin = " " * 6
        body = textwrap.fill(
            text or "", 88, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
        )
        return f"{head}\n{body}\n"

    def _bounds(self) -> str:
        if self.meta.le == UNLIMITED:
            return f"at least {self.meta.ge}"
        return f"{self.meta.ge} to {self.meta.le}"

    def _extra(self, key: str) -> str:
        return str((self.meta.extra or {})[key])


def _all() -> Iterator[Setting]:
    hints = get_type_hints(Settings, include_extras=True)
    for field in msgspec.structs.fields(Settings):
        default = None if field.default is NODEFAULT else field.default
        hint = hints[field.name]
        yield Setting(field.name, hint, default, get_args(hint)[1])


SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _all()}
"""Every setting by its field's name, in the order of the manual."""


def manual() -> str:
    """Every setting, by group."""
    text = group = ""
    for setting in SETTINGS.values():
        if setting.group != group:
            group = setting.group
            text += f"\n{group}:\n"
        text += setting.paragraph()
    return text


def from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """What the environment says, by field name; an empty variable says nothing."""
    said: dict[str, object] = {}
    for setting in SETTINGS.values():
        if text := environ.get(setting.variable, "").strip():
            said[setting.name] = text.split() if setting.many else text
    return said


def settings_from(said: Mapping[str, object]) -> Settings:
    """Settings from text, by field name; what is not said has its default.

    :raises ValueError: a value is not what it has to be; one line that names the setting.
    """
    values = {}
    for name, text in said.items():
        setting = SETTINGS[name]
        try:
            if text == "":
                raise ValueError
            values[name] = msgspec.convert(text, setting.type, strict=False)
        except ValueError:
            raise ValueError(f"--{setting.option} {text}: must be {setting.wanted}") from None
    return Settings(**values)
