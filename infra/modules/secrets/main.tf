# Secrets without values. Those are added by hand (`gcloud secrets versions add`), so that none is ever in the state.

resource "google_secret_manager_secret" "secret" {
  for_each = var.secrets

  project     = var.project
  secret_id   = each.key
  annotations = { "purpose" = each.value }

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}
