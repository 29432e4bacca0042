#!/bin/sh
# Names of secrets only: values are nobody's business.
echo "profile=$PLOINKY_PROFILE node_env=$NODE_ENV secrets_from=$PLOINKY_SECRETS_SOURCE"
for name in $(env | cut -d= -f1 | grep -E '^(DEV|QA|PROD)_' | sort); do
  echo "has $name"
done
touch /code/.written 2>/dev/null && rm /code/.written && echo "code is writable" || echo "code is read-only"
