#!/bin/sh
# A tool reads one line of JSON, {"tool": ..., "input": {"name": ...}, ...}, and prints its answer.
read -r call
name=$(printf '%s' "$call" | sed -n 's/.*"input" *: *{[^}]*"name" *: *"\([^"]*\)".*/\1/p')
if [ -z "$name" ]; then
    echo "name is missing" >&2
    exit 1
fi
echo "${GREETING:-Hello}, $name!"
