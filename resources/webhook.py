"""A webhook: one JSON object posted to a URL, for people to be told.

The text stands in `text`, as Slack and its likes read it. An address is a secret: it is in no log and no error.
"""

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from dagster import ConfigurableResource
from pydantic import Field

_TIMEOUT_SECONDS = 10
_log = logging.getLogger(__name__)


class Webhook(ConfigurableResource):
    """Posts JSON; without an address it does nothing."""

    url: str = Field(default="", description="http(s) address; empty: nobody is told.")

    def post(self, content: Mapping[str, Any]) -> bool:
        """Post `content`; return whether it was taken. A receiver that is away is a warning, not an error."""
        if not self.url:
            return False
        body = json.dumps(content, ensure_ascii=False).encode()
        try:
            request = urllib.request.Request(self.url, body, {"Content-Type": "application/json; charset=utf-8"})
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):
                return True
        except urllib.error.HTTPError as error:
            reason = f"it answered {error.code}"
        except (OSError, ValueError) as error:
            reason = type(error).__name__
        _log.warning("CS_FAILURE_WEBHOOK could not be told: %s. Check its address and the network.", reason)
        return False
