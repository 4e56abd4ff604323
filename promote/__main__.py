"""Entry point of `python -m promote`."""

import sys

from promote.cli.main import main

sys.exit(main())
