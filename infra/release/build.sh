#!/usr/bin/env bash
# Builds what a release consists of.
#
# Usage: infra/release/build.sh FOLDER PART…
#
#   aws-arm64, aws-x86_64   the package that deploys without Rust: functions, template and deploy.sh, as a zip
#   command                 the command for the platform of this machine, as a tar.gz
#   sbom                    software bills of materials of the functions and the command (CycloneDX)
#   checksums               SHA256SUMS of all files in FOLDER; the last part
#
# Needs Rust, Python 3.11, for the packages cargo-lambda (pip install cargo-lambda), and for arm64
# rustup target add aarch64-unknown-linux-gnu. CARGO_TARGET_DIR is the folder of the build (default target).
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ $# -lt 2 ]; then
  sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
  exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
target=${CARGO_TARGET_DIR:-$PWD/target}
version=$(infra/release/package.py --version)

functions() { # architecture, flag of cargo-lambda
  # One package at a time: together, they would be linked with the features of each other.
  for manifest in functions/*/Cargo.toml; do
    cargo lambda build --release --locked "$2" --lambda-dir "$target/lambda-$1" -p "$(basename "$(dirname "$manifest")")"
  done
  infra/release/package.py "$target/lambda-$1" "$1" "$folder"
}

command() {
  local host name
  host=$(rustc --version --verbose | sed -n 's/^host: //p')
  name=netcore-webhooks-$version-$host
  cargo build --release --locked -p netcore-webhooks
  rm -rf "$target/dist/$name"
  mkdir -p "$target/dist/$name"
  cp "$target/release/netcore-webhooks" LICENSE-APACHE LICENSE-MIT "$target/dist/$name"
  tar -C "$target/dist" -czf "$folder/$name.tar.gz" "$name"
  echo "$folder/$name.tar.gz"
}

sbom() {
  builtin command -v cargo-cyclonedx >/dev/null || cargo install cargo-cyclonedx --locked --version 0.5.9 --quiet
  cargo cyclonedx --format json --spec-version 1.5 --override-filename bom --quiet
  local manifest name
  for manifest in functions/*/bom.json cli/bom.json; do
    name=$(basename "$(dirname "$manifest")")
    [ "$name" != cli ] || name=netcore-webhooks
    mv "$manifest" "$folder/$name-$version.cdx.json"
  done
  find . -name bom.json -not -path './target/*' -delete
}

for part in "$@"; do
  case $part in
    aws-arm64) functions arm64 --arm64 ;;
    aws-x86_64) functions x86_64 --x86-64 ;;
    command) command ;;
    sbom) sbom ;;
    checksums) (cd "$folder" && rm -f SHA256SUMS && sha256sum -- * >SHA256SUMS.part && mv SHA256SUMS.part SHA256SUMS) ;;
    *) echo "$part is no part of a release" >&2; exit 2 ;;
  esac
done
