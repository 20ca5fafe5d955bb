"""`python -m tiled_vae encode|decode|roundtrip`: see --help."""

import sys

from .standalone.cli import main

sys.exit(main())
