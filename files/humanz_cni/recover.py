# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the plugin from its sources, by what Python promises, where there is no bytecode that the interpreter can run.

That is so after an upgrade of the distribution's Python, where the bytecode is damaged, and where the installer found
that the interpreter cannot run any.
"""

import posix
import sys

library = __file__.rpartition("/humanz_cni/")[0]
sys.path.insert(0, library)
try:
    # It takes the place of what this interpreter may lack.
    import humanz_cni.public  # noqa: F401  # pylint: disable=unused-import
    from humanz_cni.main import main
except ImportError as exc:
    text = '{"cniVersion": "1.0.0", "code": 999, "msg": "%s is damaged: run humanz.cni.cni_plugin"}\n' % library
    posix.write(1, text.encode())
    raise SystemExit("humanz-cni: %s" % exc) from None
main()
