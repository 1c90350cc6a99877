#!/usr/bin/env bash
# Lints template.yaml, the examples, the Containerfile and the shell scripts with pinned tools in a separate virtual environment.
# INFRA_VENV is its folder (default .local/infra-venv); the first run downloads the tools.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${INFRA_VENV:-.local/infra-venv}
. infra/python-environment.sh
environment "$venv" infra/requirements.txt
# Separate, because the SAM CLI needs other versions of the same libraries.
environment "$venv-workflows" infra/requirements-workflows.txt

export AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-eu-west-1}
export SAM_CLI_TELEMETRY=0

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# checkov exits with 0 if it cannot parse a file, so the number of its checks is also verified.
checkov_passes() {
  "$venv/bin/checkov" --skip-download --framework cloudformation --compact --quiet -f "$1" \
    -o cli -o json --output-file-path "console,$scratch/checkov.json"
  "$venv/bin/python" - "$scratch/checkov.json" <<'PYTHON' || { echo "checkov could not read $1" >&2; return 1; }
import json, sys
summary = json.load(open(sys.argv[1]))["summary"]
sys.exit(summary["parsing_errors"] > 0 or summary["passed"] + summary["skipped"] == 0)
PYTHON
}

echo "== shellcheck"
"$venv/bin/shellcheck" .ci/run infra/*.sh infra/release/*.sh tests/*/run fuzz/run
echo "== hadolint"
"$venv/bin/hadolint" Containerfile
echo "== workflows"
"$venv-workflows/bin/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml infra/examples/*.yml
"$venv-workflows/bin/zizmor" --offline --quiet --config .github/zizmor.yml .github/workflows infra/examples/*.yml
echo "== cfn-lint"
infra/release/package.py --template >"$scratch/packaged.yaml"
"$venv/bin/cfn-lint" template.yaml "$scratch/packaged.yaml" infra/examples/*.yaml
"$venv-workflows/bin/python" infra/check-terraform.py "$scratch/packaged.yaml"
# Once more with the loops expanded: cfn-lint applies Globals to nothing in a loop, and knows one list of receivers.
for receivers in "" RcsCallback; do
  "$venv/bin/python" infra/expand.py template.yaml "$scratch/expanded.json" ${receivers:+"$receivers"}
  "$venv/bin/cfn-lint" "$scratch/expanded.json"
done
echo "== sam validate"
"$venv/bin/sam" validate --lint --template-file template.yaml
echo "== checkov"
# With all options enabled: checkov skips resources whose condition is false.
cp template.yaml "$scratch/template.yaml"
while read -r parameter off on; do
  sed -i "/^  $parameter:\$/,/Default:/s/Default: $off\$/Default: $on/" "$scratch/template.yaml"
  if ! grep -A 3 "^  $parameter:\$" "$scratch/template.yaml" | grep -q "Default: $on\$"; then
    echo "the parameter $parameter is not where lint.sh expects it" >&2
    exit 1
  fi
done <<'PARAMETERS'
FanOut "false" "true"
Analytics "false" "true"
CloudWatchDashboard "false" "true"
DashboardAccess AWS_IAM SIGN_IN
DashboardRedrive "false" "true"
GradualDeployment "false" "true"
Tracing "false" "true"
PARAMETERS
# And with its loops expanded: checkov cannot read them.
"$venv/bin/python" infra/expand.py "$scratch/template.yaml" "$scratch/expanded.json"
for file in "$scratch/expanded.json" infra/examples/*.yaml; do
  checkov_passes "$file"
done
echo "== check-template"
"$venv/bin/python" infra/check-template.py
"$venv/bin/python" infra/test-check-template.py
echo "== check-cargo-lambda"
"$venv/bin/python" infra/check-cargo-lambda.py
