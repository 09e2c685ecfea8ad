# A job of Cloud Scheduler that calls a function. There are never two executions of one job at once.

resource "google_cloud_scheduler_job" "job" {
  project     = var.project
  region      = var.region
  name        = var.name
  description = var.description
  schedule    = var.schedule
  time_zone   = "Etc/UTC"
  paused      = var.paused

  attempt_deadline = "${var.deadline_s}s"

  http_target {
    http_method = "POST"
    uri         = var.url
    body        = base64encode(jsonencode(var.body))
    headers     = { "Content-Type" = "application/json" }

    oidc_token {
      service_account_email = var.account
      audience              = var.url
    }
  }

  retry_config {
    retry_count          = var.retries
    min_backoff_duration = "600s"
    max_backoff_duration = "3600s"
  }
}
