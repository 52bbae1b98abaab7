"""Give an old torch the NumPy that it was built for: releases before 2.3 cannot use NumPy 2."""

import subprocess
import sys
from importlib.metadata import version

from packaging.version import Version

if Version(version("torch")) < Version("2.3") and Version(version("numpy")) >= Version("2"):
    sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "numpy<2"]))
