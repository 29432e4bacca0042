#!/bin/sh
echo '{"progress": 0.5, "message": "half way"}' >&2
sleep 60
