"""Run it anywhere: python3 -m unittest discover tests"""

import json
import subprocess
import sys
import unittest
from pathlib import Path

TOOL = Path(__file__).parents[1] / "code" / "greet.py"


def call(**arguments: str) -> subprocess.CompletedProcess[str]:
    line = json.dumps({"tool": "greet", "input": arguments, "metadata": {}}) + "\n"
    return subprocess.run(
        [sys.executable, str(TOOL)], input=line, capture_output=True, text=True, check=False
    )


class GreetTest(unittest.TestCase):
    def test_greets_by_name(self) -> None:
        self.assertEqual(call(name="Ada").stdout.strip(), "Hello, Ada!")

    def test_a_missing_name_fails(self) -> None:
        self.assertEqual(call().returncode, 1)


if __name__ == "__main__":
    unittest.main()
