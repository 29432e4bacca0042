"""Images: used when present, pulled with progress when missing, never pulled unasked; or made of a tar."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from ploinky.runtimes.engine_api import EngineApi, EngineError
from ploinky.runtimes.engine_models import ImageReport, PullLine, content_id
from ploinky.runtimes.engine_streams import json_lines
from ploinky.runtimes.errors import image_not_found

SILENCE_S = 300.0


async def image_id(api: EngineApi, image: str) -> str | None:
    """The content that ``image`` names, or None if it is not here."""
    try:
        return content_id((await api.read(f"images/{image}/json", ImageReport)).id)
    except EngineError as error:
        if error.missing:
            return None
        raise


async def pull(api: EngineApi, image: str) -> AsyncGenerator[str, None]:
    """Pull an image; each line says what arrives. A silence of ``SILENCE_S`` ends the pull.

    Raises:
        NotFoundError: IMAGE_NOT_FOUND with the engine's reason.
    """
    yield f"Pulling {image}"
    reason, last = "", ""
    try:
        async with (
            api.stream("images/create", _reference(image), method="POST", silence_s=SILENCE_S) as body,
            aclosing(json_lines(body, PullLine)) as lines,
        ):
            async for line in lines:
                reason = line.error or reason
                if line.text and line.text != last:
                    last = line.text
                    yield line.text
    except EngineError as error:
        reason = error.reason
    if await image_id(api, image) is None:
        raise image_not_found(image, f"{(reason or 'the pull broke off').strip().rstrip('.')}.")


async def import_image(api: EngineApi, image: str, layer: bytes) -> None:
    """Make an image, ``name:tag``, of one tar of files.

    Raises:
        EngineError: the engine refused.
    """
    await api.upload("images/create", {"fromSrc": "-", "repo": image}, layer)


def _reference(image: str) -> dict[str, str]:
    """The image as the API wants it; without a tag or digest it would pull all tags."""
    tagged = ":" in image.rsplit("/", 1)[-1] or "@" in image
    return {"fromImage": image} if tagged else {"fromImage": image, "tag": "latest"}
