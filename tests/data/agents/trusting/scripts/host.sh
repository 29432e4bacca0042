#!/bin/sh
echo "on the host as $PLOINKY_AGENT_NAME"
