#!/bin/sh
test -f "$WORKSPACE_PATH/ready"
