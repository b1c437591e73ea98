#!/bin/sh
# Pin requirements*.in with hashes for every platform; uv comes from PATH or from a throw-away environment.
set -eu

if ! command -v uv >/dev/null 2>&1; then
    away=$(mktemp -d)
    trap 'rm -rf "$away"' EXIT
    "${PYTHON:-python3}" -m venv "$away"
    "$away/bin/pip" install --quiet --disable-pip-version-check uv
    PATH="$away/bin:$PATH"
fi
for name in requirements requirements-dev; do
    uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
        --custom-compile-command 'make requirements' "$@" -o "$name.txt" "$name.in"
done
echo uv | uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
    --custom-compile-command 'make requirements' "$@" -o tools/uv.txt -
