# Who may do what. No other module grants anything, so its output `table` is all there is.
# Every resource here adds one member to one role and leaves what others have granted.

locals {
  of = {
    for kind in ["project", "topic", "subscription", "bucket", "secret", "function", "repository", "account"] :
    kind => { for grant in var.grants : "${grant.target} ${grant.role} ${grant.member}" => grant if grant.kind == kind }
  }
}

resource "google_project_iam_custom_role" "role" {
  for_each = var.roles

  project     = var.project
  role_id     = each.key
  title       = each.value.title
  permissions = each.value.permissions
}

resource "google_project_iam_member" "project" {
  for_each = local.of["project"]

  project = each.value.target
  role    = each.value.role
  member  = each.value.member

  dynamic "condition" {
    for_each = each.value.condition == null ? [] : [each.value.condition]

    content {
      title      = condition.value.title
      expression = condition.value.expression
    }
  }

  depends_on = [google_project_iam_custom_role.role]
}

resource "google_pubsub_topic_iam_member" "topic" {
  for_each = local.of["topic"]

  project = var.project
  topic   = each.value.target
  role    = each.value.role
  member  = each.value.member
}

resource "google_pubsub_subscription_iam_member" "subscription" {
  for_each = local.of["subscription"]

  project      = var.project
  subscription = each.value.target
  role         = each.value.role
  member       = each.value.member
}

resource "google_storage_bucket_iam_member" "bucket" {
  for_each = local.of["bucket"]

  bucket = each.value.target
  role   = each.value.role
  member = each.value.member

  dynamic "condition" {
    for_each = each.value.condition == null ? [] : [each.value.condition]

    content {
      title      = condition.value.title
      expression = condition.value.expression
    }
  }

  depends_on = [google_project_iam_custom_role.role]
}

resource "google_secret_manager_secret_iam_member" "secret" {
  for_each = local.of["secret"]

  project   = var.project
  secret_id = each.value.target
  role      = each.value.role
  member    = each.value.member
}

resource "google_cloud_run_v2_service_iam_member" "function" {
  for_each = local.of["function"]

  project  = var.project
  location = var.region
  name     = each.value.target
  role     = each.value.role
  member   = each.value.member
}

resource "google_artifact_registry_repository_iam_member" "repository" {
  for_each = local.of["repository"]

  project    = var.project
  location   = var.region
  repository = each.value.target
  role       = each.value.role
  member     = each.value.member
}

resource "google_service_account_iam_member" "account" {
  for_each = local.of["account"]

  service_account_id = "projects/${var.project}/serviceAccounts/${each.value.target}"
  role               = each.value.role
  member             = each.value.member
}
