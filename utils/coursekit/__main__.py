"""``python -m coursekit``."""

from .cli import main

raise SystemExit(main())
