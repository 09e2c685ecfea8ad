# What the functions are built from and into: the zip, in a bucket, and a repository of images that keeps the last few.

locals {
  hash = filesha256(var.bundle)
}

resource "google_storage_bucket_object" "bundle" {
  bucket       = var.bucket
  name         = "functions-${local.hash}.zip"
  source       = var.bundle
  content_type = "application/zip"

  # What runs may have to be built again from it.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = var.region
  repository_id = "functions"
  description   = "Images that Cloud Build makes of the functions"
  format        = "DOCKER"

  cleanup_policy_dry_run = false

  cleanup_policies {
    id     = "keep-the-last"
    action = "KEEP"

    most_recent_versions {
      keep_count = 2
    }
  }

  cleanup_policies {
    id     = "delete-the-others"
    action = "DELETE"

    condition {
      older_than = "86400s"
    }
  }
}
