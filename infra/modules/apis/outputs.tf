output "services" {
  description = "APIs that are enabled."
  value       = toset([for api in google_project_service.api : api.service])
}
