# Topics, each with a topic for its dead letters, and ordered push subscriptions. What a message of each topic holds is
# tabled in docs/pipeline.md.
#
# Dead letters come from two sides: a subscriber puts away at once what can never succeed, with the reason; Pub/Sub
# puts away what it could not deliver in `attempts` attempts. With the backoff growing to a minute that takes an hour
# and a half, so an outage of minutes costs nothing. Either way they wait in a pull subscription named as their topic.

locals {
  own  = keys(var.topics)
  dead = [for topic in local.own : "${topic}-dead"]
}

resource "google_pubsub_topic" "topic" {
  for_each = toset(concat(local.own, local.dead))

  project = var.project
  name    = each.value
  labels  = { message = try(var.topics[each.value], "dead-letter") }

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_pubsub_subscription" "push" {
  for_each = var.subscriptions

  project = var.project
  name    = each.key
  topic   = google_pubsub_topic.topic[each.value.topic].id

  enable_message_ordering    = true
  ack_deadline_seconds       = each.value.ack_deadline_s
  message_retention_duration = "604800s"

  push_config {
    push_endpoint = each.value.endpoint

    oidc_token {
      service_account_email = var.push_account
      audience              = each.value.endpoint
    }
  }

  retry_policy {
    minimum_backoff = "${each.value.minimum_backoff_s}s"
    maximum_backoff = "${each.value.maximum_backoff_s}s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.topic["${each.value.topic}-dead"].id
    max_delivery_attempts = var.attempts
  }

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "dead" {
  for_each = toset(local.dead)

  project = var.project
  name    = each.value
  topic   = google_pubsub_topic.topic[each.value].id

  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s"

  expiration_policy {
    ttl = ""
  }
}
