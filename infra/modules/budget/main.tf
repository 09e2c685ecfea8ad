# The project's budget of a month: e-mails at each part of it, and a message to the topic some times a day. A budget
# caps nothing by itself: the function `economy` does what it can.

resource "google_billing_budget" "budget" {
  billing_account = var.billing_account
  display_name    = "PitWall ${var.project}"

  budget_filter {
    projects        = ["projects/${var.project_number}"]
    calendar_period = "MONTH"
  }

  amount {
    specified_amount {
      units = tostring(var.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = var.tell_at

    content {
      threshold_percent = threshold_rules.value
    }
  }

  all_updates_rule {
    pubsub_topic                     = var.topic
    schema_version                   = "1.0"
    monitoring_notification_channels = var.channels
  }
}
