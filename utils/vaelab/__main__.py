"""``python -m vaelab``."""

from .cli import main

raise SystemExit(main())
