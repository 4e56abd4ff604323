"""`python -m promote`."""

import sys

from promote.cli import main

sys.exit(main())
