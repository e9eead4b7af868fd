#!/usr/bin/env bash
# A stand-in for the Dockerfile's base, on a Debian machine that reaches its Debian mirror and no image registry.
#
#   PYTHON=python3.11 tools/stand_in_base.sh FOLDER
#
# Fills FOLDER with the root of a Debian trixie: packages from the mirror that this machine's apt uses, and this machine's
# Python 3.11 without its site-packages in /usr/local. Needs root and debootstrap. The last lines that it prints make an
# image of FOLDER.
set -euo pipefail
readonly root=${1:?usage: tools/stand_in_base.sh FOLDER} python=${PYTHON:-python3.11}
readonly suite=trixie
# What python:3.11-slim-trixie has besides Python: the libraries of Python's own modules, and certificates.
readonly libraries=ca-certificates,libbz2-1.0,libexpat1,libffi8,liblzma5,libncursesw6,libreadline8t64,libsqlite3-0,libssl3t64,libuuid1,netbase,tzdata,zlib1g

fail() { printf 'stand_in_base: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "debootstrap needs root"
command -v debootstrap >/dev/null || fail "debootstrap was not found: apt-get install debootstrap"
[ ! -e "$root" ] || fail "$root exists; name a new folder"
[ "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" = 3.11 ] ||
  fail "$python is not a Python 3.11. Name one: PYTHON=/path/to/python3.11"
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' | sed -n 1p)
[ -n "$mirror" ] || fail "apt has no lists of a Debian mirror: apt-get update"

debootstrap --variant=minbase --include="$libraries" "$suite" "$root" "$mirror"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*

prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
tar --directory "$prefix" --create --exclude='site-packages/*' --exclude='lib/python3.11/test' --exclude=__pycache__ \
  bin/python3.11 include/python3.11 lib | tar --directory "$root/usr/local" --extract --no-same-owner
ln -s python3.11 "$root/usr/local/bin/python3"
chroot "$root" ldconfig
chroot "$root" python3 -c 'import bz2, ctypes, lzma, sqlite3, ssl, ensurepip' ||
  fail "the Python of $prefix does not work in Debian $suite"

cat <<HOW
An image of it:
  container=\$(buildah from scratch)
  buildah add --quiet \$container $root /
  buildah commit --rm \$container pets-base
HOW
