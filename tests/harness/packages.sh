# shellcheck shell=bash
# What start and test need from Debian's packages, and how it gets there.
# Sourced, not run. Installs only what is missing, so that a machine that has it
# all needs no network and no root.

# To build the programs.
# shellcheck disable=SC2034
PACKAGES_BUILD=(gcc libc6-dev cmake ninja-build pkg-config libevent-dev
    libhiredis-dev libjansson-dev libcurl4-openssl-dev libssl-dev tzdata
    libsqlite3-dev)
# To test them.
# shellcheck disable=SC2034
PACKAGES_UNIT=(libcmocka-dev python3)
# shellcheck disable=SC2034
PACKAGES_TEST=(python3-redis python3-jsonschema redis-server procps curl make valgrind clang-14
    clang-format-14 clang-tidy-14 shellcheck ccache wrk openssl zsh groff-base
    nginx-light haproxy libhttp-parser-dev slowhttptest
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)

packages_missing() { # PACKAGE... : one name a line
    local name
    for name in "$@"; do
        case $(dpkg-query -W -f='${db:Status-Abbrev}' "$name" 2>/dev/null) in
        ?i*) ;;
        *) echo "$name" ;;
        esac
    done
}

# Installs the missing ones of PACKAGE... with "RUNNER apt-get ...". On failure
# prints one clear line after PROGRAM: and returns 1.
packages_install() { # PROGRAM RUNNER PACKAGE...
    local program=$1 runner=$2 missing log as_root=()
    shift 2
    if ! command -v dpkg-query >/dev/null; then
        # Not Debian: cmake names what it does not find.
        return 0
    fi
    mapfile -t missing < <(packages_missing "$@")
    ((${#missing[@]})) || return 0
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            as_root=(sudo -n)
        else
            echo "$program: packages are missing and only root can install them:" \
                "sudo apt-get install ${missing[*]}" >&2
            return 1
        fi
    fi
    echo "$program: installing ${missing[*]}"
    log=$(mktemp)
    if "$runner" "${as_root[@]}" apt-get -qq -o DPkg::Lock::Timeout=300 \
        -o Acquire::Retries=2 update >"$log" 2>&1 &&
        ! grep -qE '^(W|E): Failed to fetch' "$log" &&
        "$runner" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 \
            --no-install-recommends install "${missing[@]}" >"$log" 2>&1; then
        rm -f "$log"
        return 0
    fi
    if grep -qE 'Temporary failure|Could not resolve|Could not connect|Failed to fetch|Network is unreachable' "$log"; then
        echo "$program: no network, or no mirror of Debian answers;" \
            "cannot install ${missing[*]}" >&2
    else
        echo "$program: apt-get cannot install ${missing[*]}:" \
            "$(grep -m1 '^E:' "$log" || tail -n 1 "$log")" >&2
    fi
    rm -f "$log"
    return 1
}
