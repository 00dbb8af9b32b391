#!/usr/bin/env bash
# What the tests need from the system: PostgreSQL, a registry, an SSH server, a browser. Installs it where it may, else
# says how.
set -euo pipefail
missing=()
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing+=(postgresql)
[ -x /usr/bin/docker-registry ] || missing+=(docker-registry)
[ -x /usr/sbin/sshd ] || missing+=(openssh-server)
command -v ssh >/dev/null || missing+=(openssh-client)
command -v chromium >/dev/null || missing+=(chromium)
command -v git >/dev/null || missing+=(git)
{ command -v setpriv && command -v prlimit; } >/dev/null || missing+=(util-linux)
[ ${#missing[@]} -eq 0 ] && exit 0
line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
if command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
  run=(env DEBIAN_FRONTEND=noninteractive); [ "$(id -u)" = 0 ] || run=(sudo "${run[@]}")
  echo "system: installing ${missing[*]}"
  "${run[@]}" apt-get -qq update
  "${run[@]}" apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "system: the tests need ${missing[*]}; install it with: sudo sh -c '$line'" >&2
  exit 1
fi
