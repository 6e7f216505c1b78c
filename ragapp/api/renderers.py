"""Server-sent events at the door: what lets a client ask for them, and be told an error in JSON."""

import json
from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import BaseRenderer, JSONRenderer


class EventStreamRenderer(BaseRenderer):
    """Stands for ``text/event-stream``; a stream itself passes by it, only errors are rendered."""

    media_type = "text/event-stream"
    format = "events"
    charset = "utf-8"

    def render(
        self,
        data: Any,  # Any: DRF's own signature.
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """The problem document of a request that got no stream."""
        return json.dumps(data).encode()


EVENT_RENDERERS = [EventStreamRenderer, JSONRenderer]
