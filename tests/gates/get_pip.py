# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the pip bootstrap script that ansible-test downloads, on a machine that reaches PyPI alone.

ansible-test takes it from its cache and calls it with pip's requirement and options as arguments.
"""

import subprocess
import sys

NOT_OF_PIP = ("--no-setuptools", "--no-wheel")

subprocess.check_call([sys.executable, "-m", "ensurepip", "--upgrade"])
arguments = [argument for argument in sys.argv[1:] if argument not in NOT_OF_PIP]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install"] + arguments))
