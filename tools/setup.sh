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
made="$version $(pwd)"
stamp_of() { cksum < "$1"; }
missing=''
[ -x .venv/bin/python ] && [ "$(cat .venv/airf5.made 2>/dev/null)" = "$made" ] || rm -rf .venv
for file in "$@"; do
    [ "$(cat ".venv/airf5.$file" 2>/dev/null)" = "$(stamp_of "$file")" ] || missing="$missing $file"
done
[ -n "$missing" ] || exit 0

have_uv() { command -v uv >/dev/null 2>&1; }
if ! have_uv && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    say "this Python cannot make virtual environments: install python3-venv (Debian, Ubuntu), or uv, and try again."
    exit 2
fi

say "putting the packages of$missing into .venv with Python $version; this takes a minute the first time."
if [ ! -x .venv/bin/python ]; then
    if have_uv; then uv venv --quiet --python "$python" .venv; else "$python" -m venv .venv; fi
    echo "$made" > .venv/airf5.made
fi
# uv installs side by side and is pinned like everything else; without it the same takes twice as long
if ! have_uv && [ ! -x .venv/bin/uv ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
        --require-hashes -r tools/uv.txt
fi
uv=.venv/bin/uv
[ -x "$uv" ] || uv=uv
for file in $missing; do
    VIRTUAL_ENV=$(pwd)/.venv "$uv" pip install --quiet --require-hashes -r "$file"
    stamp_of "$file" > ".venv/airf5.$file"
done
