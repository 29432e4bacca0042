"""Real model servers that tests start, made by others, and how to start them.

``running_llama`` (``llama.py``) runs llama.cpp's own server over a tiny model that says what a ``Script``
tells it to: call this tool with these arguments, then answer that. It speaks OpenAI's and Anthropic's wire.
``running_aimock`` (``aimock.py``) runs npm's scripted server, which speaks Ollama's wire too and keeps what
it was asked. ``running_faulty`` (``faulty.py``) is ours and only fails: slow, cut, huge, garbled.
"""
