#!/bin/sh
# Fetches the embedded ClickHouse engine (libchdb) with the ordinary npm client into .cache/engine/<version>/<platform>/.
# Does nothing when the pinned version is there. A half-finished download is never mistaken for a library: the folder appears
# by one rename, after npm has checked the package's integrity. Older versions are removed afterwards.
#
#   deploy/fetch-engine.sh            for this machine
#   deploy/fetch-engine.sh darwin-arm64   for another platform (packaging)
set -eu

version="26.7.3-stable.1" # keep equal to embedded.LibraryVersion; a test compares them

fail() {
	echo "fetch-engine: $*" >&2
	exit 1
}

platform_here() {
	case "$(uname -s)-$(uname -m)" in
	Linux-x86_64) platform=linux-x64-gnu ;;
	Linux-aarch64 | Linux-arm64) platform=linux-arm64-gnu ;;
	Darwin-arm64) platform=darwin-arm64 ;;
	Darwin-x86_64) platform=darwin-x64 ;;
	*) fail "no embedded engine for $(uname -s) $(uname -m); use an external ClickHouse (warehouse.url: clickhouse://...)" ;;
	esac
	for loader in /lib/ld-musl-*; do
		[ -e "$loader" ] || continue
		[ -e /lib64/ld-linux-x86-64.so.2 ] || [ -e /lib/ld-linux-aarch64.so.1 ] ||
			fail "the engine needs glibc and this system has musl only; use an external ClickHouse (warehouse.url: clickhouse://...)"
	done
}

if [ $# -gt 0 ]; then platform=$1; else platform_here; fi

root=$(cd "$(dirname "$0")/.." && pwd)
cache="$root/.cache/engine"
target="$cache/$version/$platform"
[ -s "$target/libchdb.so" ] && exit 0

command -v npm >/dev/null || fail "npm not found; install Node.js with npm and run this again"
mkdir -p "$cache/$version"
tmp=$(mktemp -d "$cache/fetch.XXXXXX") || fail "cannot write to $cache"
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

echo "fetch-engine: downloading @chdb/lib-$platform $version (about 180 MB, 570 MB unpacked)" >&2
(cd "$tmp" && npm pack --loglevel=error "@chdb/lib-$platform@$version" >pack.out 2>npm.log) || {
	reason=$(sed -n 's/^npm \(error\|ERR!\) code \(.*\)/\2/p' "$tmp/npm.log" | head -n 1)
	fail "npm could not fetch @chdb/lib-$platform $version (${reason:-no reason given}); check npm's registry settings and the network, then run this again"
}
mkdir "$tmp/lib"
tar -xzf "$tmp"/*.tgz -C "$tmp/lib" --strip-components 1 package/libchdb.so ||
	fail "the package holds no libchdb.so or the disk is full; free 1 GB in $cache and run this again"
chmod 755 "$tmp/lib" "$tmp/lib/libchdb.so"
[ -s "$target/libchdb.so" ] && exit 0 # another run was faster
rm -rf "$target"
mv "$tmp/lib" "$target" || fail "cannot create $target"

for old in "$cache"/*; do
	case "$old" in
	"$cache/$version" | "$cache"/fetch.*) ;;
	*) rm -rf "$old" ;;
	esac
done
echo "fetch-engine: $target/libchdb.so" >&2
