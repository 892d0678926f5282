"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# A shared machine makes one example slow now and then, which says nothing about the code: no deadline. In CI a failure
# prints the blob that reproduces it, and each run tries the same examples.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
