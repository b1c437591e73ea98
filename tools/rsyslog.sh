#!/bin/sh
# The tests of the rsyslog configuration need a real rsyslogd with RELP and TLS. Install it where that is possible; else
# say so: those tests are then skipped, loudly.
has() {
    { command -v rsyslogd || test -x /usr/sbin/rsyslogd; } >/dev/null 2>&1 || return 1
    for folder in /usr/lib/rsyslog /usr/lib/*/rsyslog; do
        test -e "$folder/imrelp.so" && test -e "$folder/lmnsd_gtls.so" && return 0
    done
    return 1
}
has && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "airf5: installing rsyslog for its tests." >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends rsyslog rsyslog-relp rsyslog-gnutls openssl >/dev/null 2>&1 && exit 0
    apt-get update -qq >/dev/null 2>&1
    apt-get install -y -qq --no-install-recommends rsyslog rsyslog-relp rsyslog-gnutls openssl >/dev/null && exit 0
fi
echo "airf5: NO RSYSLOGD HERE, so its tests will be SKIPPED (Debian: apt-get install rsyslog rsyslog-relp rsyslog-gnutls)." >&2
exit 0
