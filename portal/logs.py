"""One JSON line for each log event; never secrets, never the text of documents or questions."""

import json
import logging
from datetime import UTC, datetime

_FIELDS = ("trace_id", "tenant", "actor", "object", "action", "result", "duration_ms")


class JsonFormatter(logging.Formatter):
    """Time, level, logger and message, with the structured fields given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for field in _FIELDS:
            if (value := getattr(record, field, None)) is not None:
                line[field] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
