# Terraform: deploys the package of a release as a CloudFormation stack. Terraform uploads the functions and the template; a new
# package updates the stack. Price: none beside the stack's own.
#
#   terraform apply -var package=./netcore-webhooks-0.2.0-aws-arm64 -var code_bucket=my-code
#
# Write every parameter that you set into `parameters`, also when you update the stack.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "package" {
  type        = string
  description = "Folder of the unpacked package."
}

variable "code_bucket" {
  type        = string
  description = "Name of an S3 bucket in the region of the stack."
}

variable "name" {
  type        = string
  default     = "netcore-webhooks"
  description = "Name of the stack, at most 47 characters."
}

variable "alarm_email" {
  type        = string
  default     = ""
  description = "Receives the alarms after a confirmation."
}

data "aws_s3_bucket" "code" {
  bucket = var.code_bucket
}

resource "aws_s3_object" "function" {
  for_each = fileset("${var.package}/functions", "*.zip")

  bucket = var.code_bucket
  key    = "netcore-webhooks/functions/${each.value}"
  source = "${var.package}/functions/${each.value}"
}

resource "aws_s3_object" "template" {
  bucket = var.code_bucket
  key    = "netcore-webhooks/templates/${filesha256("${var.package}/template.yaml")}.yaml"
  source = "${var.package}/template.yaml"
}

resource "aws_cloudformation_stack" "netcore_webhooks" {
  name         = var.name
  template_url = "https://${data.aws_s3_bucket.code.bucket_regional_domain_name}/${aws_s3_object.template.key}"
  capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]

  parameters = {
    CodeBucket      = var.code_bucket
    AlarmEmail      = var.alarm_email
    UnqualifiedUrls = "false"
  }

  depends_on = [aws_s3_object.function]
}

output "outputs" {
  value       = aws_cloudformation_stack.netcore_webhooks.outputs
  description = "URLs of the receivers and the dashboard, tables and queues."
}
