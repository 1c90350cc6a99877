#!/usr/bin/env bash
# Deploys this package, version @VERSION@ for @ARCHITECTURE@, or updates a stack to it. Needs only AWS CLI.
#
# Usage: ./deploy.sh STACK [PARAMETER=VALUE…]
#
# Example: ./deploy.sh netcore-webhooks AlarmEmail=oncall@example.com
# Parameters that are not named keep the values of the last deployment. template.yaml describes all of them.
#
# CODE_BUCKET: the bucket of this account for the functions (default netcore-webhooks-<account>-<region>). It is created if
# it does not exist.
# AWS_REGION, AWS_PROFILE and so on: as for AWS CLI.
set -euo pipefail
cd "$(dirname "$0")"

if [ $# -eq 0 ] || [[ ! $1 =~ ^[A-Za-z][A-Za-z0-9-]*$ ]]; then
  sed -n '2,/^set/p' "$(basename "$0")" | sed '$d; s/^# \{0,1\}//'
  exit 2
fi
stack=$1
shift
# A function's name has at most 64 characters, and is the stack's name with up to 17 more.
if [ ${#stack} -gt 47 ]; then
  echo "the name of the stack has ${#stack} characters; 47 are possible, because the names of the functions begin with it" >&2
  exit 2
fi
for parameter in "$@"; do
  if [[ ! $parameter =~ ^[A-Za-z0-9]+= ]]; then
    echo "$parameter is not PARAMETER=VALUE" >&2
    exit 2
  fi
done

command -v aws >/dev/null || { echo "AWS CLI is needed: https://aws.amazon.com/cli/" >&2; exit 1; }
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
if [ -z "$region" ]; then
  echo "no region is configured: set AWS_REGION" >&2
  exit 1
fi
# AWS CLI 1 does not read AWS_REGION.
export AWS_DEFAULT_REGION=$region
account=$(aws sts get-caller-identity --query Account --output text)
bucket=${CODE_BUCKET:-netcore-webhooks-$account-$region}
prefix=netcore-webhooks/functions/
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

# Before anything is created. A failure of another kind must not be taken for a new stack: UnqualifiedUrls=false would delete
# the URLs that the senders of a stack of version 0.1 use.
new=()
if status=$(aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].StackStatus' --output text 2>"$errors"); then
  case $status in
    # The stack has never had resources, or its creation failed.
    REVIEW_IN_PROGRESS | ROLLBACK_COMPLETE) new=(UnqualifiedUrls=false) ;;
  esac
elif grep -q 'ValidationError.*does not exist' "$errors"; then
  new=(UnqualifiedUrls=false)
else
  cat "$errors" >&2
  exit 1
fi

# With the expected owner, a bucket of another account is refused, even if it lets everybody write.
owner=(--expected-bucket-owner "$account")
if ! aws s3api head-bucket --bucket "$bucket" "${owner[@]}" >/dev/null 2>"$errors"; then
  if ! grep -q '(404)' "$errors"; then
    cat "$errors" >&2
    echo "the bucket $bucket cannot be used: it must belong to the account $account and be in $region; CODE_BUCKET names another one" >&2
    exit 1
  fi
  echo "creating the bucket $bucket"
  # us-east-1 is the only region that must not be named.
  if [ "$region" = us-east-1 ]; then
    aws s3api create-bucket --bucket "$bucket" >/dev/null
  else
    aws s3api create-bucket --bucket "$bucket" --create-bucket-configuration "LocationConstraint=$region" >/dev/null
  fi
  aws s3api put-public-access-block --bucket "$bucket" "${owner[@]}" --public-access-block-configuration \
    BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
fi

for file in functions/*.zip; do
  echo "uploading $file to s3://$bucket/$prefix"
  aws s3api put-object --bucket "$bucket" "${owner[@]}" --key "$prefix$(basename "$file")" --body "$file" >/dev/null
done

echo "deploying the stack $stack in $region"
aws cloudformation deploy --stack-name "$stack" --template-file template.yaml \
  --s3-bucket "$bucket" --s3-prefix "netcore-webhooks/templates" \
  --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-fail-on-empty-changeset \
  --parameter-overrides "CodeBucket=$bucket" "CodePrefix=$prefix" ${new[@]+"${new[@]}"} "$@"
aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].Outputs[].[OutputKey,OutputValue]' --output text
