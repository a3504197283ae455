"""``python -m qtnc``."""

import sys

from qtnc.cli import main

sys.exit(main())
