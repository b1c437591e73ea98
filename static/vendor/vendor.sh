#!/bin/sh
# Fetches the files listed in VENDOR.toml again (npm pack) and refuses one whose hash is another.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

field() { sed -n "s/^$1 = \"\(.*\)\"$/\1/p" "$here/VENDOR.toml"; }

package=$(field package) version=$(field version) file=$(field file) licence=$(field licence_file)
cd "$tmp"
npm pack --silent "$package@$version" >/dev/null
tar xzf "$package-$version.tgz"
printf '%s  %s\n' "$(field sha256)" "package/$file" "$(field licence_sha256)" "package/$licence" | sha256sum -c - || {
    echo "vendor: $package $version is not the file that VENDOR.toml names; nothing was copied" >&2
    exit 1
}
mkdir -p "$here/$package-$version"
cp "package/$file" "package/$licence" "$here/$package-$version/"
