from __future__ import annotations

import sys
from pathlib import Path

# `fake_llm` and `toy` are helpers, not tests, and tests have no packages.
sys.path.insert(0, str(Path(__file__).parent))
