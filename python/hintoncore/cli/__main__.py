"""``python -m hintoncore.cli``."""

from hintoncore.cli import main

raise SystemExit(main())
