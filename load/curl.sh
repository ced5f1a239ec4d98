#!/bin/sh
# Mints user tokens with nothing but curl and awk, and tells how that went. The README's "Load test it" says how to run
# it and what to expect. It exits with 1 unless every answer was a token.
#
#   JETON_SECRET_KEY=sk_… load/curl.sh [TOKENS [CONNECTIONS]]      1,000 tokens over 8 connections unless told otherwise
#
# JETON_URL says where Jeton is, and CURL_OPTIONS what else curl must know (--insecure, --cacert FILE).
set -eu

url=${JETON_URL:-http://127.0.0.1:3000}
tokens=${1:-1000}
connections=${2:-8}

fail() {
  echo "curl.sh: $1" >&2
  exit 2
}

within() {
  case $2 in
  '' | *[!0-9]* | ???????*) fail "$1 must be a whole number from 1 to $3" ;;
  esac
  { [ "$2" -ge 1 ] && [ "$2" -le "$3" ]; } || fail "$1 must be a whole number from 1 to $3"
}

within TOKENS "$tokens" 100000
within CONNECTIONS "$connections" 64
[ "$connections" -le "$tokens" ] || connections=$tokens
case ${JETON_SECRET_KEY:-} in
sk_*) ;;
*) fail 'JETON_SECRET_KEY must be a secret key' ;;
esac
case $url$JETON_SECRET_KEY in
*[!A-Za-z0-9:/._~%@\[\]-]*) fail 'JETON_URL and JETON_SECRET_KEY must be plain text' ;;
esac

# The key goes to curl in a file of ours, since everyone on the machine can read a command line.
umask 077
folder=$(mktemp -d)
workers=
# Whatever ends this ends its curls, too.
trap 'for worker in $workers; do kill "$worker" 2>/dev/null || :; done; rm -rf "$folder"' EXIT
trap 'exit 130' HUP INT TERM

# One transfer for each token, each for a user of its own: no subject's limit is in the way.
awk -v tokens="$tokens" -v connections="$connections" -v url="${url%/}" -v run="$$" -v folder="$folder" '
  BEGIN {
    "cat" | getline key
    for (token = 0; token < tokens; token++) {
      file = folder "/config." token % connections
      if (token >= connections) print "next" > file
      printf "url = \"%s/auth/token\"\n", url > file
      printf "header = \"Authorization: Bearer %s\"\n", key > file
      printf "header = \"Content-Type: application/json\"\n" > file
      printf "data = \"{\\\"userId\\\":\\\"load-%s-%d\\\",\\\"name\\\":\\\"Load\\\"}\"\n", run, token > file
      printf "max-time = 10\n" > file
      printf "write-out = \"\\n%%{http_code} %%{time_total}\\n\"\n" > file
    }
  }' <<END
$JETON_SECRET_KEY
END

worker=0
while [ "$worker" -lt "$connections" ]; do
  # Word by word on purpose: they are options.
  # shellcheck disable=SC2086
  curl --silent ${CURL_OPTIONS:-} --config "$folder/config.$worker" >"$folder/answers.$worker" &
  workers="$workers $!"
  worker=$((worker + 1))
done
# A transfer that failed is told by its status, 000, and not by whether it was the last one.
for worker in $workers; do wait "$worker" || :; done
workers=

# An answer is its body and, on a line of its own, its status and how long it took.
awk '
  /^[0-9][0-9][0-9] [0-9.]+$/ {
    right = $1 == 200 && body ~ /"token":"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"/
    print $1 == 200 && !right ? "200-without-a-token" : $1, $2 * 1000, FILENAME
    body = ""
    next
  }
  { body = body $0 }' "$folder"/answers.* | sort -k 2,2n >"$folder/sorted"

awk -v tokens="$tokens" -v connections="$connections" '
  {
    count[$1]++
    took[NR] = $2
    busy[$3] += $2
    if (busy[$3] > longest) longest = busy[$3]
  }
  function quantile(part) { return took[int(part * (NR - 1)) + 1] }
  END {
    if (NR == 0 || longest == 0) { print "no answer"; exit 1 }
    minted = ("200" in count) ? count["200"] : 0
    printf "%d tokens over %d connections in %.1f s: %.0f a second\n", minted, connections, longest / 1000, minted * 1000 / longest
    printf "p50 %.1f ms, p99 %.1f ms, slowest %.1f ms\n", quantile(0.5), quantile(0.99), took[NR]
    for (status in count) printf "%s: %d\n", status, count[status]
    exit minted != tokens
  }' "$folder/sorted"
