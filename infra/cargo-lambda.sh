#!/usr/bin/env bash
# Creates the resources of the functions without SAM, and deploys the functions with cargo-lambda.
# No alarms, no CloudWatch dashboard, no parameters, only partition aws; for these use template.yaml. Run it once per prefix.
#
# Usage: infra/cargo-lambda.sh [prefix]        (default netcore-webhooks)
# First build the functions (docs/deploy.md, "Everything, without SAM"), and store the authentication policy in /<prefix>/auth.
# RECEIVERS: the receivers to deploy, with blanks between them, if not the template's default.
# For an emulator, set AWS_ENDPOINT_URL and, unless its certificate is Amazon's, TLS_ROOTS=system.
set -euo pipefail

prefix=${1:-netcore-webhooks}
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region)}}
# AWS CLI 1 does not read AWS_REGION.
export AWS_DEFAULT_REGION=$region
account=$(aws sts get-caller-identity --query Account --output text)
table=$prefix-events
table_arn=arn:aws:dynamodb:$region:$account:table/$table
rollups=$prefix-rollups
rollups_arn=arn:aws:dynamodb:$region:$account:table/$rollups
retry_arn=arn:aws:sqs:$region:$account:$prefix-retry
dead_arn=arn:aws:sqs:$region:$account:$prefix-dead-letters
receivers=${RECEIVERS:-event-webhook fallback-sms incoming-webhook delivery-status rcs-callback}

aws dynamodb create-table --table-name "$table" --billing-mode PAY_PER_REQUEST \
  --attribute-definitions AttributeName=message_id,AttributeType=S AttributeName=status_key,AttributeType=S \
  AttributeName=recipient,AttributeType=S AttributeName=day_shard,AttributeType=S AttributeName=event_time,AttributeType=N \
  --key-schema AttributeName=message_id,KeyType=HASH AttributeName=status_key,KeyType=RANGE \
  --global-secondary-indexes \
  "IndexName=recipient-index,KeySchema=[{AttributeName=recipient,KeyType=HASH},{AttributeName=event_time,KeyType=RANGE}],Projection={ProjectionType=KEYS_ONLY}" \
  "IndexName=day-index,KeySchema=[{AttributeName=day_shard,KeyType=HASH},{AttributeName=event_time,KeyType=RANGE}],Projection={ProjectionType=INCLUDE,NonKeyAttributes=[channel,status]}" \
  --stream-specification StreamEnabled=true,StreamViewType=NEW_IMAGE \
  --sse-specification Enabled=true --deletion-protection-enabled >/dev/null
aws dynamodb create-table --table-name "$rollups" --billing-mode PAY_PER_REQUEST \
  --attribute-definitions AttributeName=series,AttributeType=S AttributeName=period,AttributeType=S \
  --key-schema AttributeName=series,KeyType=HASH AttributeName=period,KeyType=RANGE \
  --sse-specification Enabled=true --deletion-protection-enabled >/dev/null
for name in "$table" "$rollups"; do
  aws dynamodb wait table-exists --table-name "$name"
  aws dynamodb update-time-to-live --table-name "$name" \
    --time-to-live-specification Enabled=true,AttributeName=expires_at >/dev/null
  aws dynamodb update-continuous-backups --table-name "$name" \
    --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true >/dev/null
done
stream_arn=$(aws dynamodb describe-table --table-name "$table" --query Table.LatestStreamArn --output text)

tls_only() {
  echo '{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"sqs:*\",\"Resource\":\"'"$1"'\",\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"false\"}}}]}'
}
dead_url=$(aws sqs create-queue --queue-name "$prefix-dead-letters" --query QueueUrl --output text --attributes '{
  "MessageRetentionPeriod":"1209600","MaximumMessageSize":"1048576","VisibilityTimeout":"120","ReceiveMessageWaitTimeSeconds":"1","SqsManagedSseEnabled":"true",
  "RedriveAllowPolicy":"{\"redrivePermission\":\"byQueue\",\"sourceQueueArns\":[\"'"$retry_arn"'\"]}",
  "Policy":"'"$(tls_only "$dead_arn")"'"}')
retry_url=$(aws sqs create-queue --queue-name "$prefix-retry" --query QueueUrl --output text --attributes '{
  "MessageRetentionPeriod":"1209600","MaximumMessageSize":"1048576","VisibilityTimeout":"360","ReceiveMessageWaitTimeSeconds":"20","SqsManagedSseEnabled":"true",
  "RedrivePolicy":"{\"deadLetterTargetArn\":\"'"$dead_arn"'\",\"maxReceiveCount\":\"1000\"}",
  "Policy":"'"$(tls_only "$retry_arn")"'"}')

statement() { # actions, resources, condition; each JSON
  echo '{"Effect":"Allow","Action":'"$1"',"Resource":'"$2${3:+,\"Condition\":$3}"'}'
}
marked='{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["rejected#*"]}}'
logs() { # functions
  local arns=""
  for name in "$@"; do
    aws logs create-log-group --log-group-name "/aws/lambda/$prefix-$name"
    aws logs put-retention-policy --log-group-name "/aws/lambda/$prefix-$name" --retention-in-days 30
    arns+=",\"arn:aws:logs:$region:$account:log-group:/aws/lambda/$prefix-$name:*\""
  done
  statement '["logs:CreateLogStream","logs:PutLogEvents"]' "[${arns#,}]"
}
role() { # name, statements...
  local name=$prefix-$1 IFS=,
  shift
  aws iam create-role --role-name "$name" --query Role.Arn --output text --assume-role-policy-document \
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}]}'
  aws iam put-role-policy --role-name "$name" --policy-name "$name" \
    --policy-document '{"Version":"2012-10-17","Statement":['"$*"']}'
}
# shellcheck disable=SC2086
receiver_role=$(role receiver \
  "$(statement '["dynamodb:PutItem","dynamodb:PartiQLInsert"]' "\"$table_arn\"")" \
  "$(statement '"dynamodb:UpdateItem"' "\"$table_arn\"" "$marked")" \
  "$(statement '"sqs:SendMessage"' "[\"$retry_arn\",\"$dead_arn\"]")" \
  "$(statement '"ssm:GetParameter"' "\"arn:aws:ssm:$region:$account:parameter/$prefix/auth\"")" \
  "$(logs $receivers)")
redrive_role=$(role redrive \
  "$(statement '["dynamodb:PutItem","dynamodb:PartiQLInsert"]' "\"$table_arn\"")" \
  "$(statement '["sqs:ReceiveMessage","sqs:DeleteMessage","sqs:GetQueueAttributes","sqs:ChangeMessageVisibility","sqs:SendMessage"]' "\"$retry_arn\"")" \
  "$(statement '"sqs:SendMessage"' "\"$dead_arn\"")" \
  "$(logs redrive)")
projector_role=$(role projector \
  "$(statement '["dynamodb:DescribeStream","dynamodb:GetRecords","dynamodb:GetShardIterator","dynamodb:ListStreams"]' "\"$stream_arn\"")" \
  "$(statement '"dynamodb:Query"' "[\"$table_arn\",\"$table_arn/index/recipient-index\"]")" \
  "$(statement '["dynamodb:GetItem","dynamodb:BatchGetItem","dynamodb:Query","dynamodb:UpdateItem","dynamodb:PutItem","dynamodb:PartiQLInsert"]' "\"$rollups_arn\"")" \
  "$(statement '"dynamodb:BatchWriteItem"' "\"$rollups_arn\"" '{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["*#pending"]}}')" \
  "$(statement '"sqs:SendMessage"' "\"$dead_arn\"")" \
  "$(logs projector)")
dashboard_role=$(role dashboard \
  "$(statement '["dynamodb:BatchGetItem","dynamodb:Query"]' "[\"$table_arn\",\"$table_arn/index/recipient-index\",\"$table_arn/index/day-index\"]")" \
  "$(statement '["dynamodb:GetItem","dynamodb:BatchGetItem","dynamodb:Query"]' "\"$rollups_arn\"")" \
  "$(statement '"sqs:GetQueueAttributes"' "[\"$retry_arn\",\"$dead_arn\"]")" \
  "$(statement '"sqs:ReceiveMessage"' "\"$dead_arn\"")" \
  "$(logs dashboard)")
# IAM is eventually consistent, and Lambda refuses a role that it cannot read yet.
sleep "${ROLE_WAIT_SECONDS:-15}"

deploy() { # function, role, timeout, options...
  local name=$1 role_arn=$2 timeout=$3
  shift 3
  cargo lambda deploy "$prefix-$name" --binary-name "$name" --role "$role_arn" --memory "${memory:-256}" --timeout "$timeout" \
    --env-var "EVENTS_TABLE=$table" --env-var "ROLLUPS_TABLE=$rollups" --env-var "RETRY_QUEUE_URL=$retry_url" --env-var "DEAD_LETTER_QUEUE_URL=$dead_url" \
    --env-var RUST_LOG=info --env-var "STACK_NAME=$prefix" --env-var "TLS_ROOTS=${TLS_ROOTS:-amazon}" --env-var MALLOC_MMAP_THRESHOLD_=262144 "$@"
}
for name in $receivers; do
  # With --enable-function-url, cargo-lambda makes the URL public and adds both required permissions.
  deploy "$name" "$receiver_role" 10 --env-var "WEBHOOK_AUTH=ssm:/$prefix/auth" --enable-function-url
done
deploy redrive "$redrive_role" 60
aws lambda create-event-source-mapping --function-name "$prefix-redrive" --event-source-arn "$retry_arn" \
  --batch-size 100 --maximum-batching-window-in-seconds 1 --function-response-types ReportBatchItemFailures --scaling-config MaximumConcurrency=5 >/dev/null
deploy projector "$projector_role" 60
aws lambda create-event-source-mapping --function-name "$prefix-projector" --event-source-arn "$stream_arn" \
  --starting-position TRIM_HORIZON --batch-size 500 --maximum-batching-window-in-seconds 55 \
  --function-response-types ReportBatchItemFailures --bisect-batch-on-function-error \
  --maximum-record-age-in-seconds 79200 --destination-config "{\"OnFailure\":{\"Destination\":\"$dead_arn\"}}" \
  --filter-criteria '{"Filters":[{"Pattern":"{\"eventName\":[\"INSERT\"]}"}]}' >/dev/null
memory=512 deploy dashboard "$dashboard_role" 29
aws lambda create-function-url-config --function-name "$prefix-dashboard" --auth-type AWS_IAM >/dev/null

echo
for name in $receivers dashboard; do
  printf '%-17s %s\n' "$name" "$(aws lambda get-function-url-config --function-name "$prefix-$name" --query FunctionUrl --output text)"
done
printf 'EVENTS_TABLE=%s\nROLLUPS_TABLE=%s\nRETRY_QUEUE_URL=%s\nDEAD_LETTER_QUEUE_URL=%s\n' \
  "$table" "$rollups" "$retry_url" "$dead_url"
