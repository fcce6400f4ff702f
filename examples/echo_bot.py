"""Says everything back: python examples/echo_bot.py tcp:127.0.0.1:6000 ID PASSWORD"""

import sys

from twisted.internet.task import react

from chat.client import Client


async def main(reactor, endpoint, user_id, password):
    async def echo(message):
        await client.reply(message, message.msg)

    client = Client(endpoint, int(user_id), password, ledger="echo_bot.ledger", on_message=echo)
    client.startService()
    await client.when_stopped()


react(main, sys.argv[1:])
