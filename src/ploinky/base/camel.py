"""Models of JSON whose names are camelCase outside and snake_case here; either is read, camelCase is written.

Only modules that read such JSON import this: it loads pydantic.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class CamelModel(BaseModel):
    """Immutable; what is done with unknown keys is the subclass's word (``extra``)."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        frozen=True,
        defer_build=True,  # most commands use few of the models that their imports bring along
    )


class CamelSection(CamelModel):
    """A part of a file of ours: no value is read as another type, unknown keys are errors."""

    model_config = ConfigDict(strict=True, extra="forbid")
