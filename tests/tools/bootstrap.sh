#!/bin/sh
# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes .venv, which holds nox, with the first Python that can. PYTHON=/path/to/python goes before all others.

set -eu

# A name on PATH is not yet a Python: pyenv puts scripts there that answer for versions which are not chosen.
is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' > /dev/null 2>&1
}

makes_environments() {
    "$1" -c 'import ensurepip, venv' > /dev/null 2>&1
}

candidates() {
    echo "${PYTHON:-}"
    folders="$(echo "$PATH" | tr ':' '\n') $(echo "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin)"
    for name in python3.13 python3.12 python3.11 python3.10 python3.14 python3.15 python3 python; do
        for folder in $folders; do
            echo "$folder/$name"
        done
    done
}

found=
lacking=
while IFS= read -r candidate; do
    if ! is_recent "$candidate"; then
        continue
    elif makes_environments "$candidate"; then
        found=$candidate
        break
    fi
    lacking=${lacking:-$candidate}
done << CANDIDATES
$(candidates)
CANDIDATES

if [ -z "$found" ] && [ -n "$lacking" ]; then
    echo "$lacking cannot make virtual environments: its modules venv and ensurepip are missing." >&2
    echo "Install them (Debian and Ubuntu: apt-get install python3-venv) and run make again." >&2
    exit 1
elif [ -z "$found" ]; then
    echo "No Python 3.10 or later was found: install one (Debian and Ubuntu: apt-get install python3 python3-venv)," >&2
    echo "or say where it is: make PYTHON=/path/to/python" >&2
    exit 1
fi

echo "Setting up nox in .venv with $found ..."
rm -rf .venv
"$found" -m venv .venv
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-cache-dir --requirement tests/requirements/nox.txt
