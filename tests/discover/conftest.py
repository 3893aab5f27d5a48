from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

# `fake_llm` and `toy` are helpers, not tests, and tests have no packages.
sys.path.insert(0, str(Path(__file__).parent))

# A time limit per example would be a timed assertion.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
