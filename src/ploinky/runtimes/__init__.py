"""Floor 3: engines that hold an agent: bubblewrap, Podman, Docker, fake.

A runtime turns a frozen RunSpec into engine calls and knows no manifest.
"""
