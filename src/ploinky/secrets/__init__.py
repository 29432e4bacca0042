"""Floor 3: stores of secrets, their resolution order, and tokens. Values never leave but to a launch."""
