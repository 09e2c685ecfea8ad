output "topics" {
  description = "Topics by id, those for dead letters included."
  value       = google_pubsub_topic.topic
}

output "subscriptions" {
  description = "Push subscriptions by id."
  value       = google_pubsub_subscription.push
}

output "dead_letters" {
  description = "Pull subscriptions in which dead letters wait, by id."
  value       = google_pubsub_subscription.dead
}
