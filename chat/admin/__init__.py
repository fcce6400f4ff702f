"""``chat-admin``: what an operator does with the database, and with the server that runs."""
