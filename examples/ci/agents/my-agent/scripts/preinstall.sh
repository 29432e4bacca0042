#!/bin/sh
# Runs inside, before anything is installed: the same script for every profile.
echo "preparing my-agent for $PLOINKY_PROFILE"
