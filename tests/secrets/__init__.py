"""Tests of the secrets package."""  # noqa: A005 (mirrors the package)
