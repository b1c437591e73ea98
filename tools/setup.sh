#!/bin/sh
# Make .venv from the pin files named as arguments. Quick when nothing changed since the last time.
set -eu

say() { echo "airf5: $*" >&2; }

usable='import sys; sys.exit(sys.version_info < (3, 11))'
python=''
if [ -n "${PYTHON:-}" ]; then
    "$PYTHON" -c "$usable" 2>/dev/null || { say "PYTHON=$PYTHON is no Python 3.11 or newer."; exit 2; }
    python=$PYTHON
else
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c "$usable" 2>/dev/null; then python=$candidate; break; fi
    done
fi
[ -n "$python" ] || { say "Python 3.11 or newer is needed and none was found; name one with PYTHON=/path/to/python."; exit 2; }

# The folder is part of the stamp because a moved virtual environment points at where it was.
version=$("$python" -c 'import sys; print(sys.version.split()[0])')
stamp="$(cat "$@" | cksum) $version $(pwd)"
[ -x .venv/bin/python ] && [ "$(cat .venv/airf5.stamp 2>/dev/null)" = "$stamp" ] && exit 0

pins=''
for file in "$@"; do pins="$pins -r $file"; done

if ! command -v uv >/dev/null 2>&1 && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    say "this Python cannot make virtual environments: install python3-venv (Debian, Ubuntu), or uv, and try again."
    exit 2
fi

rm -rf .venv
say "making .venv with Python $version; this takes a minute the first time."
if command -v uv >/dev/null 2>&1; then
    uv venv --quiet --python "$python" .venv
    # shellcheck disable=SC2086
    VIRTUAL_ENV=$(pwd)/.venv uv pip install --quiet --require-hashes $pins
else
    "$python" -m venv .venv
    # shellcheck disable=SC2086
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location --require-hashes $pins
fi
echo "$stamp" > .venv/airf5.stamp
