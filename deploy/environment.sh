#!/usr/bin/env bash
# Makes .venv from uv.lock. Needs Python 3.11 or newer with its venv module; brings uv along when it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
python=""
for name in python3.13 python3.12 python3.11 python3; do
  if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$(command -v "$name")
    break
  fi
done
if [ -z "$python" ]; then
  echo "environment: Python 3.11 or newer is needed: sudo apt-get install python3 python3-venv" >&2
  exit 1
fi
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
  if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "environment: Python's venv module is missing: sudo apt-get install python3-venv" >&2
    exit 1
  fi
  if [ ! -x .uv/bin/uv ]; then
    "$python" -m venv .uv
    .uv/bin/pip install --quiet "uv>=0.9"
  fi
  uv=.uv/bin/uv
fi
groups=(--all-extras)
# The local control plane is a Go program: where there is no Go, or an old one, PyPI has it too.
go_minor=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p' || true)
[ "${go_minor:-0}" -ge 26 ] || groups+=(--group go)
UV_COMPILE_BYTECODE=1 "$uv" sync --locked --quiet --python "$python" "${groups[@]}"
