"""``python -m wan_core``."""

import sys

from wan_core.cli import main

sys.exit(main(sys.argv[1:]))
