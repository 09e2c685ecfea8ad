# What tells an operator: alerts, metrics made of the functions' log lines (docs/pipeline.md, docs/metrics.md), and a
# dashboard.

locals {
  names = { for name in var.functions : name => "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${name}\"" }

  # Filters name messages and fields as the code writes them; tests/infra/test_monitoring.py holds them to it.
  metrics = {
    feed_states = {
      description = "How a live feed is: connecting, live, silent, reconnecting, refused, ended"
      filter      = "(${local.names["poller"]} AND jsonPayload.message=~\"^the feed is \") OR (${local.names["karts"]} AND jsonPayload.message=~\"^the feed is \")"
      labels      = { feed = "EXTRACT(jsonPayload.feed)", state = "REGEXP_EXTRACT(jsonPayload.message, \"^the feed is ([a-z]+)\")" }
    }
    let_go = {
      description = "Why a poller let a feed go: ended, session-over, handed-over, stopped, lost, failed"
      filter      = "(${local.names["poller"]} AND jsonPayload.message=\"let go\") OR (${local.names["karts"]} AND jsonPayload.message=\"let go\")"
      labels      = { feed = "EXTRACT(jsonPayload.feed)", outcome = "EXTRACT(jsonPayload.outcome)" }
    }
    dead_letters = {
      description = "Messages, or documents of one, that can never be stored"
      filter      = "(${local.names["writer"]} AND jsonPayload.message=\"can never be stored\") OR (${local.names["recorder"]} AND jsonPayload.message=\"can never be recorded\") OR (${local.names["economy"]} AND jsonPayload.message=\"tells no costs\") OR (${local.names["jobs"]} AND jsonPayload.message=\"asks for no job\")"
      labels      = { reason = "EXTRACT(jsonPayload.reason)" }
    }
    redeliveries = {
      description = "Messages that a subscriber asked for once more"
      filter      = "resource.type=\"cloud_run_revision\" AND jsonPayload.message=\"to be delivered again\""
      labels      = {}
    }
    archive_looks = {
      description = "What came of looking for a session's archive: final, waiting, reconciled, failed, gave-up, ..."
      filter      = "${local.names["reconciler"]} AND jsonPayload.message=\"looked for the archive\""
      labels      = { state = "EXTRACT(jsonPayload.state)" }
    }
  }

  matches = {
    refused = {
      title  = "The feed refuses us"
      filter = "${local.names["poller"]} AND jsonPayload.message=\"the feed is refused\""
      advice = "F1 refuses some of Google's addresses: run a collector elsewhere, or set fallback to openf1 (docs/collector.md, docs/openf1.md)."
    }
    economy = {
      title  = "The economy has begun to save"
      filter = "${local.names["economy"]} AND jsonPayload.message=~\"^the economy is (slow|closed)$\""
      advice = "The budget is nearly or fully spent. `python -m pitwall.pipeline.economy` shows and sets the mode (docs/deploy.md)."
    }
  }

  thresholds = {
    dead-letters = {
      title     = "Dead letters wait"
      filter    = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=monitoring.regex.full_match(\".*-dead\")"
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_SUM"
      group     = [] # each series that an alert looks at costs; the dashboard shows which it is
      threshold = 0
      duration  = "0s"
      severity  = "WARNING"
      advice    = "Look at them, mend the cause, and redrive or drop them (docs/deploy.md). The attribute `reason` says why; without one Pub/Sub gave up delivering."
    }
    writer-lag = {
      title     = "The writer lags behind"
      filter    = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"timing-writer\""
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_MAX"
      group     = []
      threshold = var.writer_lag_s
      duration  = "60s"
      severity  = "ERROR"
      advice    = "Messages of `timing` are not stored in time. The writer's log says what Firestore answers."
    }
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.emails

  project      = var.project
  display_name = "PitWall: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
}

resource "google_logging_metric" "metric" {
  for_each = local.metrics

  project     = var.project
  name        = "pitwall/${each.key}"
  description = each.value.description
  filter      = each.value.filter

  label_extractors = each.value.labels

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"

    dynamic "labels" {
      for_each = each.value.labels

      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }
}

# Is a feed silent while a session is on? Asked of the system itself, so that it makes no difference who polls, and a
# poller that is not there is noticed as well. It says at the same time whether the API answers.
resource "google_monitoring_uptime_check_config" "status" {
  project          = var.project
  display_name     = "PitWall: the API answers, and no feed is stale"
  period           = "60s"
  timeout          = "10s"
  selected_regions = ["ASIA_PACIFIC", "EUROPE", "USA_VIRGINIA"]

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project, host = var.api_host }
  }

  http_check {
    path         = "/api/status?format=json"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  content_matchers {
    content = "\"stale\":true"
    matcher = "NOT_CONTAINS_STRING"
  }
}

resource "google_monitoring_alert_policy" "silent" {
  project               = var.project
  display_name          = "PitWall: a feed is silent in a live session, or the API does not answer"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  conditions {
    display_name = "two of three places saw it for two minutes"

    condition_threshold {
      filter          = "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND resource.type=\"uptime_url\" AND metric.labels.check_id=\"${google_monitoring_uptime_check_config.status.uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "120s"

      aggregations {
        alignment_period     = "1200s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.label.host"]
      }
    }
  }

  documentation {
    content = "Open /api/status: it names the feed, its state and for how long it has been silent. Then the log of `poller`, or of the collector (docs/collector.md)."
  }
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each = local.thresholds

  project               = var.project
  display_name          = "PitWall: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  conditions {
    display_name = each.value.title

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = each.value.duration

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
        group_by_fields      = each.value.group
      }
    }
  }

  documentation {
    content = each.value.advice
  }
}

resource "google_monitoring_alert_policy" "errors" {
  project               = var.project
  display_name          = "PitWall: a function fails"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  conditions {
    display_name = "more than ${var.error_percent} % of a function's answers are 5xx"

    condition_threshold {
      filter             = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND metric.labels.response_code_class=\"5xx\""
      denominator_filter = "metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\""
      comparison         = "COMPARISON_GT"
      threshold_value    = var.error_percent / 100
      duration           = "300s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }

      denominator_aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }
    }
  }

  documentation {
    content = "The function's log has a line of severity ERROR for each."
  }
}

resource "google_monitoring_alert_policy" "match" {
  for_each = local.matches

  project               = var.project
  display_name          = "PitWall: ${each.value.title}"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  conditions {
    display_name = each.value.title

    condition_matched_log {
      filter = each.value.filter
    }
  }

  alert_strategy {
    auto_close = "1800s"

    notification_rate_limit {
      period = "1800s"
    }
  }

  documentation {
    content = each.value.advice
  }
}

locals {
  run    = "resource.type=\"cloud_run_revision\""
  pubsub = "resource.type=\"pubsub_subscription\""

  charts = [
    { title = "Requests, by function", filter = "metric.type=\"run.googleapis.com/request_count\" ${local.run}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group = ["resource.label.service_name"] },
    { title = "Answers 5xx, by function", filter = "metric.type=\"run.googleapis.com/request_count\" ${local.run} metric.labels.response_code_class=\"5xx\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group = ["resource.label.service_name"] },
    { title = "Latency p95, by function", filter = "metric.type=\"run.googleapis.com/request_latencies\" ${local.run}", aligner = "ALIGN_PERCENTILE_95", reducer = "REDUCE_MAX", group = ["resource.label.service_name"] },
    { title = "Instances, by function", filter = "metric.type=\"run.googleapis.com/container/instance_count\" ${local.run}", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", group = ["resource.label.service_name"] },
    { title = "Oldest message that is not stored (s)", filter = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" ${local.pubsub}", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", group = ["resource.label.subscription_id"] },
    { title = "Dead letters that wait", filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" ${local.pubsub} resource.labels.subscription_id=monitoring.regex.full_match(\".*-dead\")", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", group = ["resource.label.subscription_id"] },
    { title = "Firestore reads", filter = "metric.type=\"firestore.googleapis.com/document/read_count\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group = ["metric.label.type"] },
    { title = "Firestore writes", filter = "metric.type=\"firestore.googleapis.com/document/write_count\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group = ["metric.label.op"] },
    { title = "Firestore listeners", filter = "metric.type=\"firestore.googleapis.com/network/snapshot_listeners\"", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", group = [] },
    { title = "States of live feeds", filter = "metric.type=\"logging.googleapis.com/user/pitwall/feed_states\" ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group = ["metric.label.feed", "metric.label.state"] },
    { title = "Why feeds were let go", filter = "metric.type=\"logging.googleapis.com/user/pitwall/let_go\" ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group = ["metric.label.outcome"] },
    { title = "Dead letters, by reason", filter = "metric.type=\"logging.googleapis.com/user/pitwall/dead_letters\" ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group = ["metric.label.reason"] },
    { title = "Messages delivered again", filter = "metric.type=\"logging.googleapis.com/user/pitwall/redeliveries\" ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group = ["resource.label.service_name"] },
    { title = "Looks for an archive", filter = "metric.type=\"logging.googleapis.com/user/pitwall/archive_looks\" ${local.run}", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group = ["metric.label.state"] },
  ]
}

resource "google_monitoring_dashboard" "dashboard" {
  project = var.project

  dashboard_json = jsonencode({
    displayName = "PitWall"
    mosaicLayout = {
      columns = 12
      tiles = [
        for n, chart in local.charts : {
          xPos   = n % 3 * 4
          yPos   = floor(n / 3) * 4
          width  = 4
          height = 4
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = chart.filter
                    aggregation = {
                      alignmentPeriod    = "60s"
                      perSeriesAligner   = chart.aligner
                      crossSeriesReducer = chart.reducer
                      groupByFields      = chart.group
                    }
                  }
                }
              }]
            }
          }
        }
      ]
    }
  })

  depends_on = [google_logging_metric.metric]
}
