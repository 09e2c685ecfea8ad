output "channels" {
  description = "Notification channels."
  value       = [for channel in google_monitoring_notification_channel.email : channel.id]
}

output "alerts" {
  description = "Alert policies, by what they are about."
  value = merge(
    google_monitoring_alert_policy.threshold,
    google_monitoring_alert_policy.match,
    { silent = google_monitoring_alert_policy.silent, errors = google_monitoring_alert_policy.errors },
  )
}

output "metrics" {
  description = "Metrics made of log lines."
  value       = google_logging_metric.metric
}

output "uptime" {
  description = "The check that no feed is stale."
  value       = google_monitoring_uptime_check_config.status
}

output "dashboard" {
  description = "The dashboard."
  value       = google_monitoring_dashboard.dashboard
}
