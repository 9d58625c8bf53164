"""``python -m alpr_edge``: the same as the command ``alpr-edge``."""

import sys

from alpr_edge.cli import main

sys.exit(main())
