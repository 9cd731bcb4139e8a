"""Runs the lab's command line: ``python3 lab COMMAND``."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

# Python puts lab/ itself on the path; the package's parent is what imports need.
sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    sys.exit(import_module("lab.cli").main())
