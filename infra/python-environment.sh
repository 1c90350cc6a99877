# shellcheck shell=bash
# Sourced by infra/lint.sh, tests/deployed/run and tests/export/run.

# Usage: environment FOLDER REQUIREMENTS
# Makes a virtual environment in the folder, and again if the file of requirements has changed. Fails if pip fails.
environment() {
  cmp -s "$2" "$1/installed.txt" || {
    python3 -m venv --clear "$1" &&
      "$1/bin/pip" install --quiet --disable-pip-version-check -r "$2" &&
      cp "$2" "$1/installed.txt"
  }
}
