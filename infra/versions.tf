terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "8.7.0"
    }
  }

  # The bucket is named by `make deploy`: -backend-config=bucket=<project>-terraform.
  backend "gcs" {
    prefix = "pitwall"
  }
}

provider "google" {
  project = var.project
  region  = var.region

  # Budgets and App Check ask which project a person's own credentials are counted for.
  billing_project       = var.project
  user_project_override = true
}
