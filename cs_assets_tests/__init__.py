"""Tests. They execute assets on tiny models; `-m embedded` adds the embedded base model."""

import os

# A developer's own settings, or a paid endpoint, have no place in a test. Set here, before cs_assets is imported.
os.environ["PYTHON_DOTENV_DISABLED"] = "true"
