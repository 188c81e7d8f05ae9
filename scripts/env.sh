# Sourced by the other scripts: make the virtual environment and install a lock into it, once for each state of the lock.
# shellcheck shell=bash
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV="${NRD_VENV:-.venv}"

make_venv() {
    [ -x "$VENV/bin/python" ] && return
    local python
    python="$(command -v python3.11 || command -v python3 || true)"
    if [ -z "$python" ] || ! "$python" -c 'import ensurepip' 2>/dev/null; then
        echo "installing Python's venv module (apt)" >&2
        local sudo=""
        [ "$(id -u)" -eq 0 ] || sudo=sudo
        $sudo apt-get update -qq
        $sudo apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
        python="$(command -v python3.11 || command -v python3)"
    fi
    "$python" -m venv "$VENV"
}

install_lock() { # LOCK...: exactly the hashed versions, and this package on top
    make_venv
    local lock stamp state
    for lock in "$@"; do
        stamp="$VENV/.${lock}.installed"
        state="$(cksum "$lock")"
        [ "$(cat "$stamp" 2>/dev/null || true)" = "$state" ] && continue
        echo "installing $lock" >&2
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock"
        echo "$state" >"$stamp"
    done
    [ -x "$VENV/bin/nrd" ] || install_package
}

install_package() {
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
}
