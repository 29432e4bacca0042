"""Memory of an assistant: plain files that are the truth, an index over them, edits that wait for a word."""
