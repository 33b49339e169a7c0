"""Date and time that the IDs of a campaign begin with."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field

_STAMP = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")


def _read_stamp(value: object) -> datetime:
    """Return a date and time that IDs can begin with: in whole seconds, without a time zone."""
    text = value.isoformat() if isinstance(value, datetime) else value
    if isinstance(text, str) and _STAMP.fullmatch(text):
        return datetime.fromisoformat(text)
    raise ValueError(
        "must be a date and time of the years 1000 to 9999 in whole seconds, without a zone and "
        "without quotes, such as 2026-01-31T12:00:00"
    )


Stamp = Annotated[datetime, BeforeValidator(_read_stamp), Field(examples=["2026-01-31T12:00:00"])]
