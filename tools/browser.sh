#!/bin/sh
# The browser tests need Chromium. Install it where that is possible; else say so: those tests are then skipped, loudly.
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "airf5: installing Chromium for the browser tests." >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null 2>&1 && exit 0
    apt-get update -qq >/dev/null 2>&1
    apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null && exit 0
fi
echo "airf5: NO CHROMIUM HERE, so the browser tests will be SKIPPED (Debian: apt-get install chromium)." >&2
exit 0
