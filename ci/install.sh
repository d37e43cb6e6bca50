#!/usr/bin/env bash
# Installs what the checks need and a fresh Debian machine lacks.
set -euo pipefail

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

apt_updated=no
need_package() { # command, Debian package
    command -v "$1" >/dev/null && return
    echo "installing $2, for $1"
    if [ "$apt_updated" = no ]; then
        as_root apt-get update -qq
        apt_updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2" >/dev/null
}

if ! command -v cargo >/dev/null; then
    echo "Rust is missing: install it as https://rustup.rs says, then run this again." >&2
    exit 1
fi
need_package cc gcc
need_package c++ g++
need_package make make
need_package python3 python3-minimal
need_package redis-server redis-server
need_package chromium chromium
need_package chromedriver chromium-driver

# Debian 12 has Valkey in its backports alone.
if ! command -v valkey-server >/dev/null; then
    echo "installing valkey-server"
    as_root apt-get update -qq
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    from=()
    if [ -z "$(apt-cache madison valkey-server)" ]; then
        mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $release" | head -n 1)
        echo "deb $mirror $release-backports main" |
            as_root tee /etc/apt/sources.list.d/backports-for-valkey.list >/dev/null
        as_root apt-get update -qq
        from=(-t "$release-backports")
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq "${from[@]}" valkey-server >/dev/null
fi

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "installing cargo-fuzz"
    cargo install cargo-fuzz --locked --quiet
fi
