#!/bin/sh
echo "worker is up"
while :; do sleep 1; echo tick; done
