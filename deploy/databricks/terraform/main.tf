# A volume with the bundle and the init script, the secret with the token of the backend, and a cluster policy that names
# them. Whoever may use the policy starts clusters that Kiln observes.
#
#   kiln init-script --bundle ./bundle --source /Volumes/main/ops/kiln -o kiln-init.sh
#   terraform apply -var otlp_endpoint=https://otlp.example.com -var otlp_headers='authorization=Bearer%20...'

terraform {
  required_version = ">= 1.3"
  required_providers {
    databricks = {
      source  = "databricks/databricks"
      version = ">= 1.50"
    }
  }
}

variable "catalog" {
  description = "Catalog of the volume"
  type        = string
  default     = "main"
}

variable "schema" {
  description = "Schema of the volume, which has to exist"
  type        = string
  default     = "ops"
}

variable "bundle" {
  description = "The bundle on this machine: the directory `kiln init-script` was given"
  type        = string
  default     = "bundle"
}

variable "init_script" {
  description = "What `kiln init-script` has rendered for the volume of this module"
  type        = string
  default     = "kiln-init.sh"
}

variable "otlp_endpoint" {
  description = "Where telemetry goes"
  type        = string
}

variable "otlp_headers" {
  description = "Headers for it, as OTEL_EXPORTER_OTLP_HEADERS has them"
  type        = string
  sensitive   = true
}

variable "readers" {
  description = "Who starts clusters"
  type        = string
  default     = "account users"
}

locals {
  files = [for name in fileset(var.bundle, "**") : name if name != "kiln.env"]

  # As `kiln init-script` prints it.
  spark_conf = {
    "spark.metrics.appStatusSource.enabled"                  = "true"
    "spark.metrics.conf.driver.sink.prometheusServlet.class" = "org.apache.spark.metrics.sink.PrometheusServlet"
    "spark.metrics.conf.driver.sink.prometheusServlet.path"  = "/metrics/prometheus"
    "spark.metrics.conf.driver.source.jvm.class"             = "org.apache.spark.metrics.source.JvmSource"
    "spark.metrics.namespace"                                = "spark"
    "spark.sql.streaming.metricsEnabled"                     = "true"
    "spark.ui.prometheus.enabled"                            = "true"
  }
}

resource "databricks_volume" "kiln" {
  catalog_name = var.catalog
  schema_name  = var.schema
  name         = "kiln"
  volume_type  = "MANAGED"
  comment      = "Kiln: what its init script installs on drivers"
}

resource "databricks_file" "bundle" {
  for_each = toset(local.files)
  source   = "${var.bundle}/${each.value}"
  path     = "${databricks_volume.kiln.volume_path}/${each.value}"
}

resource "databricks_file" "init_script" {
  source = var.init_script
  path   = "${databricks_volume.kiln.volume_path}/kiln-init.sh"

  # The script pins the files: it must not be there before them.
  depends_on = [databricks_file.bundle]
}

resource "databricks_grants" "volume" {
  volume = databricks_volume.kiln.id
  grant {
    principal  = var.readers
    privileges = ["READ_VOLUME"]
  }
}

resource "databricks_secret_scope" "observability" {
  name = "observability"
}

resource "databricks_secret" "otlp_headers" {
  scope        = databricks_secret_scope.observability.name
  key          = "otlp-headers"
  string_value = var.otlp_headers
}

resource "databricks_cluster_policy" "observed" {
  name = "Observed by Kiln"
  definition = jsonencode(merge(
    {
      "init_scripts.0.volumes.destination"         = { type = "fixed", value = databricks_file.init_script.path }
      "spark_env_vars.OTEL_EXPORTER_OTLP_ENDPOINT" = { type = "fixed", value = var.otlp_endpoint }
      "spark_env_vars.OTEL_EXPORTER_OTLP_HEADERS" = {
        type  = "fixed"
        value = "{{secrets/${databricks_secret.otlp_headers.scope}/${databricks_secret.otlp_headers.key}}}"
      }
    },
    { for key, value in local.spark_conf : "spark_conf.${key}" => { type = "fixed", value = value } },
  ))
}

output "policy_id" {
  description = "For `policy_id` of clusters and job clusters"
  value       = databricks_cluster_policy.observed.id
}
