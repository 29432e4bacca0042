"""``python -m ploinky`` is the command ``ploinky``."""

from ploinky.cli.main import main

if __name__ == "__main__":
    main()
