"""cs-assets: the digital twin (数字孪生) of a customer-service example, as Dagster assets.

Importing it reads `.env` in the working directory, so that the command line, `make demo`, every step's process and a
notebook see the same settings; Dagster itself would do so for some of them only. What is set already stays.
"""

from pathlib import Path

from dotenv import load_dotenv

load_dotenv(Path(".env"))
