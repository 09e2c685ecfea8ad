# Firestore's security rules: a ruleset for usual times and one that is closed to clients, and the release that points
# at one of them. The function `economy` moves the release later, so a plan leaves it where it is, until the rules
# themselves change.

resource "google_firebaserules_ruleset" "ruleset" {
  for_each = var.rulesets

  project = var.project

  source {
    files {
      name    = "firestore.rules"
      content = each.value
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_firebaserules_release" "firestore" {
  project      = var.project
  name         = "cloud.firestore"
  ruleset_name = "projects/${var.project}/rulesets/${google_firebaserules_ruleset.ruleset[var.released].name}"

  lifecycle {
    ignore_changes       = [ruleset_name]
    replace_triggered_by = [google_firebaserules_ruleset.ruleset]
  }
}
