#!/bin/sh
# Run it anywhere: sh tests/test_greet.sh
cd "$(dirname "$0")/../code" || exit 1
answer=$(printf '{"tool":"greet","input":{"name":"Ada"},"metadata":{}}\n' | sh greet.sh)
if [ "$answer" != "Hello, Ada!" ]; then
    echo "expected 'Hello, Ada!', got '$answer'" >&2
    exit 1
fi
if printf '{"tool":"greet","input":{}}\n' | sh greet.sh 2>/dev/null; then
    echo "a call without a name must fail" >&2
    exit 1
fi
echo "ok"
