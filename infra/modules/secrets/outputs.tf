output "ids" {
  description = "Ids of the secrets."
  value       = toset([for secret in google_secret_manager_secret.secret : secret.secret_id])
}
