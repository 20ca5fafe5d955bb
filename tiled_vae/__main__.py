"""`python -m tiled_vae encode|decode|roundtrip`: see --help."""

import sys

from .cli import main

sys.exit(main())
