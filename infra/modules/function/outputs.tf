output "function" {
  description = "The function."
  value       = google_cloudfunctions2_function.function
}

output "name" {
  description = "Name of the function and of its Cloud Run service."
  value       = google_cloudfunctions2_function.function.name
}

output "url" {
  description = "Its run.app address: what calls it, and the audience of who calls it."
  value       = google_cloudfunctions2_function.function.service_config[0].uri
}
