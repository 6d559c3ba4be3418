#!/bin/sh
# Registers a number over REST alone, then signs in, refreshes and signs out. Start the server for it with
#
#     CAPTCHA_PROVIDER=none make run
#
# Usage: docs/examples/register.sh [http://127.0.0.1:8888] [mobile]
set -eu

SITE=${1:-http://127.0.0.1:8888}
MOBILE=${2:-154$(od -An -N4 -tu4 /dev/urandom | awk '{ printf "%08d", $1 % 100000000 }')}
PASSWORD='correct horse battery'
COOKIES=$(mktemp)
trap 'rm -f "$COOKIES"' EXIT

# `field name` reads a string from the JSON on stdin. A real script would use jq.
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
get() { curl --silent --show-error --fail-with-body "$SITE$1"; }
post() { curl --silent --show-error --fail-with-body --cookie "$COOKIES" --cookie-jar "$COOKIES" \
  --header 'Content-Type: application/json' --header "Origin: $SITE" --data "$2" "$SITE$1"; }

echo "1. Is $MOBILE free?"
get "/user/mobile/$MOBILE/"; echo

echo "2. Ask for an SMS"
SMS=$(post /user/sms/ "{\"mobile\":\"$MOBILE\",\"purpose\":\"register\"}")
echo "$SMS"
TRANSACTION=$(echo "$SMS" | field transaction)

echo "3. See how far it has come"
sleep 1
get "/user/sms/$TRANSACTION/"; echo

echo "4. Read the code from the sandbox's phone"
CODE=$(get /dev/inbox.json | tr '{' '\n' | grep -F "$TRANSACTION" | field code)
echo "$CODE"

echo "5. Register"
post /user/ "{\"mobile\":\"$MOBILE\",\"password\":\"$PASSWORD\",\"sms_code\":\"$CODE\",\"transaction\":\"$TRANSACTION\"}"; echo

echo "6. Sign in again"
post /user/login/ "{\"account\":\"$MOBILE\",\"password\":\"$PASSWORD\"}"; echo

echo "7. A new access token for the refresh cookie"
post /user/refresh/ '{}'; echo

echo "8. Sign out (204)"
post /user/logout/ '{}'
