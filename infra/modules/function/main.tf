# One function of functions/main.py, as a service of Cloud Run. Who may call it is said by the module `access`.

resource "google_cloudfunctions2_function" "function" {
  project     = var.project
  location    = var.region
  name        = var.name
  description = var.description

  build_config {
    runtime           = "python313"
    entry_point       = var.name
    service_account   = "projects/${var.project}/serviceAccounts/${var.build.account}"
    docker_repository = var.build.repository

    source {
      storage_source {
        bucket = var.build.bucket
        object = var.build.object
      }
    }

    automatic_update_policy {}
  }

  service_config {
    service_account_email = var.account
    ingress_settings      = var.public ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"

    available_cpu                    = "1"
    available_memory                 = var.memory
    max_instance_request_concurrency = var.concurrency
    min_instance_count               = var.instances.min
    max_instance_count               = var.instances.max
    timeout_seconds                  = var.timeout_s

    # As many threads as requests come at a time: the framework would start four.
    environment_variables = merge(var.environment, { THREADS = tostring(var.concurrency) })

    dynamic "secret_environment_variables" {
      for_each = var.secrets

      content {
        key        = secret_environment_variables.key
        project_id = var.project
        secret     = secret_environment_variables.value
        version    = "latest"
      }
    }
  }
}
