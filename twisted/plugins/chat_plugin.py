"""Makes ``twistd chat``.

Twisted imports every plugin file whenever it lists its commands: this one names our module as a
string and imports nothing of ours.
"""

from twisted.application.service import ServiceMaker

chat = ServiceMaker(
    "chat",
    "chat.tap",
    "A chat server: JSON lines over TCP; messages to who is away wait in a database.",
    "chat",
)
