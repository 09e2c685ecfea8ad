# The APIs that everything else needs. Taking the deployment down leaves them on: others may use them.

resource "google_project_service" "api" {
  for_each = var.services

  project            = var.project
  service            = each.value
  disable_on_destroy = false
}
