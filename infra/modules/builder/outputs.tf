output "object" {
  description = "Name of the zip in its bucket; it carries the zip's SHA-256."
  value       = google_storage_bucket_object.bundle.name
}

output "repository" {
  description = "Full name of the repository."
  value       = "projects/${var.project}/locations/${var.region}/repositories/${google_artifact_registry_repository.images.repository_id}"
}
