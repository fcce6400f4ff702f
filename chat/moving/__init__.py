"""Moving the data of the original C++ server into ours: ``chat-import``."""
