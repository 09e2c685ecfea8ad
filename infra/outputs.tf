output "urls" {
  description = "Address of every function. All but the API's answer nobody from outside the project."
  value       = { for name, function in module.function : name => function.url }
}

output "api_url" {
  description = "Address of the API without the CDN before it."
  value       = "${module.function["api"].url}/api"
}

output "hosting_url" {
  description = "Address of web page and API behind the CDN, once `firebase deploy --only hosting` has run."
  value       = "https://${var.project}.web.app"
}

output "status_url" {
  description = "What is live, and how the feeds are."
  value       = "${module.function["api"].url}/api/status"
}

output "dashboard_url" {
  description = "The dashboard."
  value       = "https://console.cloud.google.com/monitoring/dashboards/builder/${basename(module.monitoring.dashboard.id)}?project=${var.project}"
}

output "logs_url" {
  description = "The functions' log."
  value       = "https://console.cloud.google.com/logs/query;query=resource.type%3D%22cloud_run_revision%22?project=${var.project}"
}

output "firestore_url" {
  description = "The database."
  value       = "https://console.cloud.google.com/firestore/databases/-default-/data?project=${var.project}"
}

output "raw_url" {
  description = "The feed's raw messages."
  value       = module.raw.bucket.url
}

output "telemetry_url" {
  description = "Computed telemetry."
  value       = module.telemetry.bucket.url
}

output "pubsub_endpoint" {
  description = "PITWALL_PUBSUB_ENDPOINT of a collector."
  value       = local.environment.PITWALL_PUBSUB_ENDPOINT
}

output "collector_account" {
  description = "Service account of a collector; it has no key."
  value       = module.accounts.emails["pitwall-collector"]
}

output "dead_letters" {
  description = "Pull subscriptions in which dead letters wait."
  value       = sort(keys(module.pubsub.dead_letters))
}

output "rulesets" {
  description = "Rulesets for PITWALL_RULES_OPEN and PITWALL_RULES_CLOSED, where the economy is set by hand."
  value       = module.rules.rulesets
}

output "access" {
  description = "Every right that is given."
  value       = sort(concat(module.access.table, module.late_access.table))
}
