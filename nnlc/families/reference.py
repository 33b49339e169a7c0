"""Reference to a family, as campaigns, journals and checkpoints record it."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*(:[A-Za-z_][A-Za-z0-9_]*)?"


class FamilyReference(BaseModel):
    """Family of a campaign's networks: where its code is, and which code it was.

    In a campaign file it is only a text: the name of a family of nnlc's or of an installed package,
    or "module:Class" for a module beside the campaign file. The folder is no part of its identity.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=f"^{_NAME}$")]
    folder: str | None = None
    """Folder of a module that is not installed."""
    label: str | None = None
    """Name and version that the class gives, such as residual@1."""
    code: str | None = None
    """Digest of the code (`nnlc.families.code_digest`)."""


def _read(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(_NAME, value):
        raise ValueError('must be the name of a family, or "module:Class"')
    return {"name": value} if isinstance(value, str) else value


GivenReference = Annotated[FamilyReference, BeforeValidator(_read)]
