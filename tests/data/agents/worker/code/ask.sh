#!/bin/sh
echo "cli of $AGENT_NAME"
