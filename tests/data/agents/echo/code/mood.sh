#!/bin/sh
echo "$MOOD"
