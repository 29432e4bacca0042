"""Skills: instructions and programs of strangers, parsed leniently, judged strictly, run in a sandbox."""
