#!/bin/sh
# Makes the secrets of the profile `replicas` in deploy/compose/secrets, once. It reads what `jeton secrets create`
# prints, and makes the passwords itself. With --self-signed NAME it makes a certificate to try things with, too.
# docs/deployment.md has the whole line.
set -eu

folder="$(dirname "$0")/secrets"

fail() {
  echo "prepare.sh: $1" >&2
  exit 1
}

random() {
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

# The folder is its owner's alone. Its files are readable, since each container has a user of its own, and a file that
# is bound into a container keeps its mode.
keep() {
  printf '%s\n' "$2" >"$draft/$1"
  chmod 0444 "$draft/$1"
}

name=
case "$#:${1-}" in
0:) ;;
2:--self-signed) name=$2 ;;
*) fail 'usage: jeton secrets create | prepare.sh [--self-signed NAME]' ;;
esac
case $name in
*[!A-Za-z0-9.-]*) fail 'NAME must be the name of a host' ;;
esac
[ ! -e "$folder" ] || fail "$folder is there already. Other secrets would not open the data that is there."

umask 077
# Whole or not at all: under its own name only once everything is in it.
draft="$(mktemp -d "$folder.XXXXXX")"
trap 'rm -rf "$draft"' EXIT
trap 'exit 1' HUP INT TERM

master_key=
admin_key=
while IFS= read -r line; do
  case $line in
  MASTER_KEY=?*) master_key=${line#MASTER_KEY=} ;;
  ADMIN_KEY=?*) admin_key=${line#ADMIN_KEY=} ;;
  esac
done
if [ -z "$master_key" ] || [ -z "$admin_key" ]; then
  fail 'standard input must be what "jeton secrets create" prints'
fi

database_password=$(random)
valkey_password=$(random)
keep master_key "$master_key"
keep admin_key "$admin_key"
keep postgres_password "$(random)"
keep database_password "$database_password"
keep database_url "postgres://jeton:$database_password@postgres:5432/jeton"
keep valkey_auth "requirepass $valkey_password"
keep redis_url "redis://:$valkey_password@valkey:6379"

if [ -n "$name" ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30 -subj "/CN=$name" \
    -addext "subjectAltName=DNS:$name" -keyout "$draft/tls.key" -out "$draft/tls.crt" 2>/dev/null ||
    fail 'openssl 3 is needed to make a certificate'
  chmod 0444 "$draft/tls.key" "$draft/tls.crt"
fi

mv "$draft" "$folder"
echo "prepare.sh: made $folder" >&2
[ -n "$name" ] || echo "prepare.sh: now put your certificate there: tls.crt (with its chain) and tls.key, mode 0444" >&2
