"""What the models of the browser tests say and do; real model servers say it, token by token."""

from __future__ import annotations

from ploinky.base.jsontypes import JsonObject

SEARCH: JsonObject = {"pattern": "tide", "limit": 3}
SAID = "high water at noon"
LOCK = "sk-lantern-0917"
GREETING = "Good morning. The harbour is quiet, and no ship is due before noon."
ANSWER = """The next **high water is at noon**; I told the echo.

| When | Water | Depth |
|:-----|:------|------:|
| 06:10 | low | 1.9 m |
| 12:02 | high | 4.3 m |

Leave with the ebb:

```python
def clearance(depth, draught):
    return depth - draught
```
"""
