"""A real OpenID Connect provider and OAuth authorization server for tests."""
