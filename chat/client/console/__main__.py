"""``python -m chat.client.console``, where the script ``chat`` is not installed."""

import sys

from .main import main

sys.exit(main())
